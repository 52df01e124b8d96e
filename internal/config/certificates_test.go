package config

import (
	"strings"
	"testing"
	"time"
)

// TestCertificates guarantees that an operator is told until when each file of certificates is good.
func TestCertificates(t *testing.T) {
	certificate, key, _ := writeKeys(t)
	c := load(t, []string{
		"LOGFENCE_LOKI_URL=https://loki:3100", "LOGFENCE_JWT_ISSUER=https://id.example.com/", "LOGFENCE_JWT_AUDIENCE=logfence",
		"LOGFENCE_LOKI_CA_FILE=" + certificate, "LOGFENCE_LOKI_CERT_FILE=" + certificate, "LOGFENCE_LOKI_KEY_FILE=" + key,
		"LOGFENCE_TLS_CERT_FILE=" + certificate, "LOGFENCE_TLS_KEY_FILE=" + key,
	}, "")
	all, err := c.Certificates()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range all {
		names = append(names, one.Name)
		if left := time.Until(one.NotAfter); left < 0 || left > time.Hour {
			t.Errorf("%+v", one)
		}
	}
	if got, want := strings.Join(names, " "), "LOGFENCE_LOKI_CA_FILE LOGFENCE_LOKI_CERT_FILE LOGFENCE_TLS_CERT_FILE"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
