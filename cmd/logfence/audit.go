package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/logfence/logfence/internal/observe"
)

// openAudit opens the audit, whose file is opened anew on SIGHUP: log rotation renames the file and
// then sends it. The close that comes with it ends both.
func openAudit(c observe.AuditConfig, stderr io.Writer, log *slog.Logger) (audit *observe.Audit, closeAudit func(), err error) {
	audit, err = observe.OpenAudit(c, stderr, log)
	if err != nil {
		return nil, nil, err
	}
	if c.Log == observe.AuditOff || c.Log == observe.AuditStderr {
		return audit, func() {}, nil // SIGHUP keeps its usual effect
	}
	hangups, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	var reopening sync.WaitGroup
	reopening.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-hangups:
				if err := audit.Reopen(); err != nil {
					log.Error("audit log is not reopened", "error", err)
					continue
				}
				log.Info("audit log reopened", "file", c.Log)
			}
		}
	})
	return audit, func() {
		signal.Stop(hangups)
		close(done)
		reopening.Wait()
		if err := audit.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			log.Error("audit log", "error", err)
		}
	}, nil
}

// shared is a writer for several that do not know of each other: the log and the audit.
type shared struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes one line.
func (s *shared) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(line)
}
