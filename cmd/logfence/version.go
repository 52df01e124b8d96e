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
			return printVersion(p.stdout, thisBuild())
		},
	}
}

// build says what this binary was made of.
type build struct {
	version, revision, goVersion, logql string
}

func buildInfo() *debug.BuildInfo {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info
	}
	return &debug.BuildInfo{}
}

func thisBuild() build { return buildOf(buildInfo()) }

func buildOf(info *debug.BuildInfo) build {
	setting := map[string]string{}
	for _, s := range info.Settings {
		setting[s.Key] = s.Value
	}
	b := build{version: known(info.Main.Version), revision: known(setting["vcs.revision"]), goVersion: known(info.GoVersion), logql: known("")}
	if setting["vcs.modified"] == "true" {
		b.revision += " (modified)"
	}
	for _, m := range info.Deps {
		if m.Path == syntaxModule {
			b.logql = m.Version
		}
	}
	return b
}

func printVersion(w io.Writer, b build) error {
	_, err := fmt.Fprintf(w, "logfence %s\nrevision %s\ngo       %s\nlogql    Loki %s\n", b.version, b.revision, b.goVersion, b.logql)
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
