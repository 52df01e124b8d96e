package config

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"time"
)

// Certificate is the certificate in a setting's file.
type Certificate struct {
	Name     string // the variable
	Subject  string // of the certificate that ends first
	NotAfter time.Time
}

// Certificates lists the settings that name a file of certificates, with the one that ends first: which
// is how long the file is good for. They are not checked further; Load has done so.
func (c Config) Certificates() ([]Certificate, error) {
	var all []Certificate
	for _, file := range []struct{ name, path string }{
		{"LOKI_CA_FILE", c.Loki.CAFile}, {"LOKI_CERT_FILE", c.Loki.CertFile}, {"TLS_CERT_FILE", c.TLSCertFile},
	} {
		if file.path == "" {
			continue
		}
		content, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("read %s%s: %w", Prefix, file.name, err)
		}
		if first := endsFirst(content); first != nil {
			all = append(all, Certificate{Name: Prefix + file.name, Subject: first.Subject.String(), NotAfter: first.NotAfter})
		}
	}
	return all, nil
}

func endsFirst(content []byte) *x509.Certificate {
	var first *x509.Certificate
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err == nil && (first == nil || c.NotAfter.Before(first.NotAfter)) {
			first = c
		}
	}
	return first
}
