package gateway

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/logfence/logfence/internal/audit"
)

// openAudit opens the audit, whose file is opened anew on SIGHUP: log rotation renames the file and
// then sends it.
func openAudit(c audit.Config, stderr io.Writer, log *slog.Logger, l *lifecycle) (*audit.Log, error) {
	records, err := audit.Open(c, stderr, log)
	if err != nil {
		return nil, err
	}
	if c.Log == audit.Off || c.Log == audit.Stderr {
		return records, nil
	}
	l.onReload(func() {
		if err := records.Reopen(); err != nil {
			log.Error("audit log is not reopened", "error", err)
			return
		}
		log.Info("audit log reopened", "file", c.Log)
	})
	l.onCleanup(func() {
		if err := records.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			log.Error("audit log", "error", err)
		}
	})
	return records, nil
}
