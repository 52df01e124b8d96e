package main

import (
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/config"
)

func (p process) checkCommand() *cobra.Command {
	var file, token string
	var live, issuers, connect bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the settings, and show those in force",
		Long: `Check reads the settings as serve does. With mistakes, every mistake is listed at once, with what
to write instead, and the exit status is 2. Otherwise it shows the settings in force, without
passwords, and the expiry of certificates; warnings go to standard error. It opens no connection.

With --issuers it reads the discovery document and the keys of each issuer instead, and shows which
keys are usable and why others are not. With --token-file it makes every check of a token, and shows
what was expected and what was found: claims of the token, and never the token. Each ends with status
1 where a check fails.

With --connect it tries all that logfence needs, as requests do: each URL of Loki, with the credentials
and a query that reads no logs; the discovery document and keys of each issuer; and Redis. A service
that refuses, as with wrong credentials, is distinguished from one that cannot be reached.

With --live it requests /healthz of the logfence that is running on this machine, at
LOGFENCE_ADMIN_ADDR, and ends with status 0 or 1: a health check for containers without a shell and
curl. It needs no other setting.`,
		Example: "  logfence check --config /etc/logfence/config.yaml\n  logfence check --live\n  logfence check --connect\n  logfence check --issuers --token-file token.jwt",
		Args:    exactly(0, "none"),
		RunE: func(command *cobra.Command, _ []string) error {
			if live {
				return p.checkLive(command.Context(), file)
			}
			c, err := config.Load(p.env, file)
			if err != nil {
				return err
			}
			if !issuers && !connect && token == "" {
				return p.show(c)
			}
			var failed []error
			if connect {
				failed = append(failed, p.checkConnections(command.Context(), c))
			}
			if issuers || connect {
				failed = append(failed, p.checkIssuers(command.Context(), c))
			}
			if token != "" {
				failed = append(failed, p.checkToken(command.Context(), c, token))
			}
			return errors.Join(failed...)
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&live, "live", false, "check the health of the logfence that is running here")
	c.Flags().BoolVar(&connect, "connect", false, "try Loki, each issuer and Redis with their credentials")
	c.Flags().BoolVar(&issuers, "issuers", false, "read discovery and keys of each issuer, and show what is usable")
	c.Flags().StringVar(&token, "token-file", "", "check the token in a `file`, or in standard input for -")
	return c
}

// show prints the settings in force, each with its source.
func (p process) show(c config.Config) error {
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, v := range c.Effective() {
		if v.Text != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", v.Name, v.Text, v.From) // Flush has the error
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print settings: %w", err)
	}
	certificates, err := c.Certificates()
	if err != nil {
		return err
	}
	warnings := c.Warnings()
	for _, cert := range certificates {
		until := cert.NotAfter.UTC().Format(time.RFC3339)
		_, _ = fmt.Fprintf(p.stdout, "%s: %s, good until %s\n", cert.Name, cert.Subject, until)
		if time.Now().After(cert.NotAfter) {
			warnings = append(warnings, cert.Name+": "+cert.Subject+" has been good until "+until+" only")
		}
	}
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(p.stderr, "logfence: warning: %s\n", warning)
	}
	return nil
}
