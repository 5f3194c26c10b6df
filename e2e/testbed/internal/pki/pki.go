// Package pki makes the keys and certificates of a test bed. Everything is
// made once and kept; what is missing, about to expire or no longer fits what
// is asked for is made anew.
package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	lifetime = 365 * 24 * time.Hour
	// renewBefore keeps a certificate from expiring under a bed that is up.
	renewBefore = 30 * 24 * time.Hour
	// backdate tolerates a clock that is set back a little between two commands.
	backdate = time.Hour
)

// Pair names the files of a certificate and its key.
type Pair struct{ Cert, Key string }

// Store is a directory of keys with its certificate authorities.
type Store struct{ Dir string }

// Pair is where the named certificate lies, made or not.
func (s Store) Pair(name string) Pair {
	return Pair{filepath.Join(s.Dir, name+".crt"), filepath.Join(s.Dir, name+".key")}
}

// Request describes a certificate.
type Request struct {
	CommonName   string
	Organization []string
	DNS          []string
	IPs          []string
	Server       bool // may serve TLS
	Client       bool // may authenticate as a client
}

// Authority returns the named certificate authority, made when it is missing.
func (s Store) Authority(name string) (Pair, error) {
	p := s.Pair(name)
	cert, _, err := load(p)
	if err == nil && time.Until(cert.NotAfter) > renewBefore {
		return p, nil
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "flywheel test bed " + name},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return p, s.issue(p, template, nil, nil)
}

// Certificate returns the named certificate, signed by the authority, made when
// the one on disk does not serve.
func (s Store) Certificate(authority, name string, r Request) (Pair, error) {
	p := s.Pair(name)
	caCert, caKey, err := load(s.Pair(authority))
	if err != nil {
		return p, fmt.Errorf("certificate authority %s: %w", authority, err)
	}
	template, err := r.template()
	if err != nil {
		return p, fmt.Errorf("certificate %s: %w", name, err)
	}
	if cert, _, err := load(p); err == nil && serves(cert, caCert, template) {
		return p, nil
	}
	return p, s.issue(p, template, caCert, caKey)
}

// SigningKey returns the named private key, which signs tokens and needs no
// certificate.
func (s Store) SigningKey(name string) (string, error) {
	path := s.Pair(name).Key
	if _, err := loadKey(path); err == nil {
		return path, nil
	}
	_, err := newKey(path)
	return path, err
}

func (r Request) template() (*x509.Certificate, error) {
	t := &x509.Certificate{
		Subject:  pkix.Name{CommonName: r.CommonName, Organization: r.Organization},
		DNSNames: r.DNS,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	for _, text := range r.IPs {
		ip := net.ParseIP(text)
		if ip == nil {
			return nil, fmt.Errorf("%q is no IP address", text)
		}
		t.IPAddresses = append(t.IPAddresses, ip)
	}
	if r.Server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.Client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	return t, nil
}

// serves says whether cert is what template asks for, signed by ca, and lasts.
func serves(cert, ca, template *x509.Certificate) bool {
	return time.Until(cert.NotAfter) > renewBefore &&
		cert.CheckSignatureFrom(ca) == nil &&
		cert.Subject.CommonName == template.Subject.CommonName &&
		slices.Equal(cert.Subject.Organization, template.Subject.Organization) &&
		slices.Equal(cert.DNSNames, template.DNSNames) &&
		slices.EqualFunc(cert.IPAddresses, template.IPAddresses, net.IP.Equal) &&
		slices.Equal(cert.ExtKeyUsage, template.ExtKeyUsage)
}

// issue writes a new key and its certificate; without a parent it signs itself.
func (s Store) issue(p Pair, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	key, err := newKey(p.Key)
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-backdate)
	template.NotAfter = time.Now().Add(lifetime)
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return err
	}
	return WriteFile(p.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func newKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	// Kubernetes reads service account keys in this older format only.
	return key, WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// load reads a certificate and its key; an error when they don't belong together.
func load(p Pair) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := loadKey(p.Key)
	if err != nil {
		return nil, nil, err
	}
	block, err := readPEM(p.Cert)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", p.Cert, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, fmt.Errorf("%s does not belong to %s", p.Key, p.Cert)
	}
	return cert, key, nil
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func readPEM(path string) (*pem.Block, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block, nil
}

// WriteFile writes data whole or not at all, with exactly these permissions,
// and leaves a file that holds the same already untouched.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return os.Chmod(path, mode)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(temporary, data, mode); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
