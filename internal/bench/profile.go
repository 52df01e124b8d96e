package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// profileTime is how long the load lasts of which a profile is taken.
const profileTime = 40 * time.Second

// writeProfile has logfence alone do everything that the workloads ask for, and writes the processor
// profile of it, from its own admin listener, to a file: what a build is guided by.
func writeProfile(ctx context.Context, o options, file string) error {
	f, err := newField(ctx, o.logfence, "", 1)
	if err != nil {
		return err
	}
	defer f.close()
	c := f.find(nameLogfence)
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	running, loaded := errgroup.WithContext(loaded)
	for _, w := range []workload{{size: small, callers: 12}, {size: medium, callers: 2}, {size: series, callers: 2}} {
		if !o.wants(w.size) {
			continue
		}
		running.Go(func() error {
			by := client(w.callers)
			defer by.CloseIdleConnections()
			for {
				_, err := ask(loaded, c, by, w.size, w.callers, 10*w.callers, f.tokens)
				if loaded.Err() != nil {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
	}
	running.Go(func() error {
		defer stop()
		return fetch(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", c.admin, int(profileTime.Seconds())), file)
	})
	return running.Wait()
}

func fetch(ctx context.Context, url, file string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	profile, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch profile: %s: %w", answer.Status, err)
	}
	return os.WriteFile(file, profile, 0o600)
}
