package pki

import (
	"crypto/x509"
	"os"
	"testing"
)

func authority(t *testing.T) Store {
	t.Helper()
	s := Store{Dir: t.TempDir()}
	if _, err := s.Authority("ca"); err != nil {
		t.Fatal(err)
	}
	return s
}

func certificate(t *testing.T, s Store, r Request) *x509.Certificate {
	t.Helper()
	pair, err := s.Certificate("ca", "leaf", r)
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := load(pair)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestACertificateIsMadeOnceAndAnewWhenTheRequestChanges(t *testing.T) {
	s := authority(t)
	r := Request{CommonName: "leaf", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}, Server: true}
	first := certificate(t, s, r)
	if again := certificate(t, s, r); !again.Equal(first) {
		t.Error("the same request made another certificate")
	}
	r.IPs = append(r.IPs, "10.0.0.1")
	if other := certificate(t, s, r); other.Equal(first) || other.VerifyHostname("10.0.0.1") != nil {
		t.Error("another address did not make another certificate")
	}
}

func TestANewAuthorityRenewsItsCertificates(t *testing.T) {
	s := authority(t)
	r := Request{CommonName: "leaf", Client: true}
	first := certificate(t, s, r)
	if err := os.Remove(s.Pair("ca").Key); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Authority("ca"); err != nil {
		t.Fatal(err)
	}
	if certificate(t, s, r).Equal(first) {
		t.Error("a certificate of the lost authority was kept")
	}
}

func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	s := authority(t)
	certificate(t, s, Request{CommonName: "leaf"})
	for _, name := range []string{"ca", "leaf"} {
		info, err := os.Stat(s.Pair(name).Key)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s.key: %v, %v; want 0600", name, info.Mode(), err)
		}
	}
}
