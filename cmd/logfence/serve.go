package main

import (
	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/gateway"
)

func (p process) serveCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API, between callers with tokens and Loki",
		Long: `Serve checks all settings, then serves the API on LOGFENCE_ADDR, and health and metrics on
LOGFENCE_ADMIN_ADDR, until SIGINT or SIGTERM. Then /readyz returns 503, connections are accepted for
LOGFENCE_DRAIN_DELAY more, and requests in flight have LOGFENCE_DRAIN_TIMEOUT to complete. A second
signal ends it at once.

Settings are environment variables. A YAML file given by --config may hold the same keys
("LOGFENCE_LOKI_URL: http://loki:3100"), and the environment wins over it. A file may also hold
several issuers, in place of the JWT_ settings of the one:

  issuers:
    - issuer: https://id.example.com
      audience: logfence
      tenants: [acme, globex]
      # jwks_url: or keys_file:, if not by discovery; tenant_claim:, selector_claim:

With more than one issuer, each states which tenants its tokens may name: tenants: (a list of names),
tenant_pattern: (a regular expression that matches the complete name), or both; or any_tenant: true,
which check and serve warn about. A token that names another tenant is refused.

Durations are written as 30s, 5m or 720h, sizes in bytes or as 16KiB or 1MiB. Settings:

` + config.Help(),
		Example: "  LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence logfence serve",
		Args:    exactly(0, "none"),
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := config.Load(p.env, file)
			if err != nil {
				return err
			}
			return gateway.Run(command.Context(), c, p.stderr)
		},
	}
	configFlag(c, &file)
	return c
}
