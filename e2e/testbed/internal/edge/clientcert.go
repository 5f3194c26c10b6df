package edge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/secretfile"
)

// ensureClientCert makes the certificate that the admin API's client shows, and
// returns it in DER form. It signs itself: Caddy is told this very certificate,
// so no CA needs to vouch for it.
func ensureClientCert(b *bed.Bed) ([]byte, error) {
	if der, err := readClientCert(b); err == nil {
		return der, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(secretfile.Bytes(16)),
		Subject:      pkix.Name{CommonName: "flywheel controller"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	// PKCS #8, which every TLS library reads.
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := secretfile.Write(b.Path(FileClientKey), string(private)); err != nil {
		return nil, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return der, os.WriteFile(b.Path(FileClientCert), public, 0o644)
}

// readClientCert is the certificate on disk, when it and its key are a pair.
func readClientCert(b *bed.Bed) ([]byte, error) {
	pair, err := tls.LoadX509KeyPair(b.Path(FileClientCert), b.Path(FileClientKey))
	if err != nil {
		return nil, err
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		return nil, errors.New("it expired")
	}
	return pair.Certificate[0], nil
}
