package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/gateway"
)

func (p process) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print versions: of logfence, of Go, and of Loki's LogQL",
		Args:  exactly(0, "none"),
		RunE: func(*cobra.Command, []string) error {
			b := gateway.ReadBuild()
			_, err := fmt.Fprintf(p.stdout, "logfence %s\nrevision %s\ngo       %s\nlogql    Loki %s\n", b.Version, b.Revision, b.Go, b.LogQL)
			if err != nil {
				return fmt.Errorf("print version: %w", err)
			}
			return nil
		},
	}
}
