package gateway

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/telemetry"
)

// openCertificate gives how the API speaks TLS, nil without a certificate. Certificate and key are read
// again when they are renewed: connections that are open stay as they are, and new ones get the new one.
func openCertificate(c config.Config, log *slog.Logger, m *telemetry.Metrics, l *lifecycle) (*tls.Config, error) {
	if c.TLSCertFile == "" {
		return nil, nil // documented above
	}
	pair, err := refresh.Files([]string{c.TLSCertFile, c.TLSKeyFile}, parsePair, refresh.Options{OnChange: func(err error) {
		if err != nil {
			log.Error("the certificate has changed and cannot be used; the old one stays in use", "error", err)
			return
		}
		log.Info("the certificate has been read again")
	}})
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	registerFiles(m, "tls", func() int {
		if pair.Err() != nil {
			return 1
		}
		return 0
	})
	l.onCleanup(pair.Close)
	l.onReload(func() { _ = pair.Reload() }) // OnChange logs it
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
	}, nil
}

func parsePair(contents [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, fmt.Errorf("certificate and key cannot be used: %w", err)
	}
	return &pair, nil
}
