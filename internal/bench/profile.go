package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"
)

// profile writes a processor profile of logfence, from its admin listener, under the nginx upstream's load.
func (b *bench) profile(ctx context.Context, size, file string) error {
	load, ok := map[string]workload{
		"2KB": sized("2 KB", "2KB", 16, 1000), "200KB": sized("200 KB", "200KB", 8, 100), "100MB": sized("100 MB", "100MB", 2, 2),
	}[size]
	if !ok {
		return fmt.Errorf("unknown size %q", size)
	}
	b.before = ""
	all, stop, err := b.field(ctx, func(ctx context.Context) (*upstream, error) { return b.startNginx(ctx, false) })
	if err != nil {
		return err
	}
	defer stop()
	c := all[slices.IndexFunc(all, func(c *contestant) bool { return c.name == nameLogfence })]
	fetched := make(chan error, 1)
	go func() {
		fetched <- fetch(ctx, "http://"+c.process.admin+"/debug/pprof/profile?seconds=30", file)
	}()
	for {
		select {
		case err := <-fetched:
			return err
		default:
		}
		if _, err := b.load(ctx, c, load, b.tokens[:1]); err != nil {
			return errors.Join(err, <-fetched)
		}
	}
}

func fetch(ctx context.Context, url, file string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	defer got.Body.Close() //nolint:errcheck // read to the end
	profile, err := io.ReadAll(got.Body)
	if err != nil {
		return fmt.Errorf("fetch profile: %w", err)
	}
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("fetch profile: %s: %s", got.Status, profile)
	}
	return os.WriteFile(file, profile, 0o600)
}
