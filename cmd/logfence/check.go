package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/config"
)

func (p process) checkCommand() *cobra.Command {
	var file string
	var live bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the settings, and show those in force",
		Long: `Check reads the settings exactly as serve does, and every mistake is listed at once, with
what to write instead; the exit status is then 2. Otherwise it shows what is in force, without
passwords, and until when certificates are good; warnings go to standard error. It opens no connection.

With --live it asks the logfence that runs on this machine, at LOGFENCE_ADMIN_ADDR, whether it lives,
and ends with status 0 or 1: the health check of a container that holds no shell and no curl. No
other setting is needed for it.`,
		Example: "  logfence check --config /etc/logfence/config.yaml\n  logfence check --live",
		Args:    exactly(0, "none"),
		RunE: func(command *cobra.Command, _ []string) error {
			if live {
				return p.checkLive(command.Context(), file)
			}
			c, err := config.Load(p.env, file)
			if err != nil {
				return err
			}
			return p.show(c)
		},
	}
	configFlag(c, &file)
	c.Flags().BoolVar(&live, "live", false, "ask the logfence that runs here whether it lives")
	return c
}

// show prints the settings that are in force, each with where it comes from.
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
	warnings := append(c.Loki.Warnings(), c.Auth.Warnings()...)
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
