package main

import (
	"context"
	"fmt"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/gateway"
)

// checkConnections tries Loki and Redis, and shows what came of it.
func (p process) checkConnections(ctx context.Context, c config.Config) error {
	failed := 0
	all := gateway.Connect(ctx, c)
	for _, service := range all {
		switch {
		case service.Err != nil:
			failed++
			_, _ = fmt.Fprintf(p.stdout, "%s: FAILED: %v\n", service.Service, service.Err)
		case service.Found != "":
			_, _ = fmt.Fprintf(p.stdout, "%s: ok, %s\n", service.Service, service.Found)
		default:
			_, _ = fmt.Fprintf(p.stdout, "%s: ok\n", service.Service)
		}
		if service.Warning != "" {
			_, _ = fmt.Fprintf(p.stderr, "logfence: warning: %s: %s\n", service.Service, service.Warning)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d services cannot be used", failed, len(all))
	}
	return nil
}
