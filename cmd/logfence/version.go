package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// syntaxModule holds the LogQL parser that is linked in: what it takes is what logfence takes.
const syntaxModule = "github.com/grafana/loki/v3"

func (p process) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print versions: of logfence, of Go, and of Loki's LogQL",
		Args:  exactly(0, "none"),
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				info = &debug.BuildInfo{}
			}
			return printVersion(p.stdout, info)
		},
	}
}

func printVersion(w io.Writer, info *debug.BuildInfo) error {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	revision := known(setting["vcs.revision"])
	if setting["vcs.modified"] == "true" {
		revision += " (modified)"
	}
	syntax := ""
	for _, m := range info.Deps {
		if m.Path == syntaxModule {
			syntax = m.Version
		}
	}
	_, err := fmt.Fprintf(w, "logfence %s\nrevision %s\ngo       %s\nlogql    Loki %s\n",
		known(info.Main.Version), revision, known(info.GoVersion), known(syntax))
	if err != nil {
		return fmt.Errorf("print version: %w", err)
	}
	return nil
}

func known(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
