package main

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/logfence/logfence/internal/observe"
)

// openAudit opens the audit, whose file is opened anew on SIGHUP: log rotation renames the file and
// then sends it.
func openAudit(c observe.AuditConfig, stderr io.Writer, log *slog.Logger, l *lifetime) (*observe.Audit, error) {
	audit, err := observe.OpenAudit(c, stderr, log)
	if err != nil {
		return nil, err
	}
	if c.Log == observe.AuditOff || c.Log == observe.AuditStderr {
		return audit, nil
	}
	l.onHangup(func() {
		if err := audit.Reopen(); err != nil {
			log.Error("audit log is not reopened", "error", err)
			return
		}
		log.Info("audit log reopened", "file", c.Log)
	})
	l.onEnd(func() {
		if err := audit.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			log.Error("audit log", "error", err)
		}
	})
	return audit, nil
}
