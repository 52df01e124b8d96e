// Command logfence is the multi-tenant gateway in front of Grafana Loki.
//
// Exit status: 0 when all went well, 1 for failures (an invalid query, a port that is taken), 2 for
// mistakes in the settings and on the command line, which a restart cannot fix.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/config"
)

// Exit statuses.
const (
	exitFailure = 1
	exitMistake = 2
)

func main() {
	os.Exit(status())
}

// status is apart from main, so that what it defers is done before the process ends.
func status() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The second signal has its usual effect, so that Ctrl-C twice ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// process is what a command may touch of the world.
type process struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is the program, as a test can be its operating system: it returns the exit status.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := process{env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.rootCommand() //nolint:contextcheck // commands take the context that cobra hands on
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	return report(stderr, command, err)
}

// report prints the error so that its reader can act on it, and returns the exit status.
func report(stderr io.Writer, command *cobra.Command, err error) int {
	var settings *config.Error
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &settings):
		// A heading for each source, and the problems indented below it.
		for line := range strings.SplitSeq(settings.Error(), "\n") {
			if !strings.HasPrefix(line, " ") {
				line = "logfence: " + line
			}
			_, _ = fmt.Fprintln(stderr, line)
		}
		return exitMistake
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(stderr, "logfence: %v\nSee %s --help.\n", err, command.CommandPath())
		return exitMistake
	default:
		_, _ = fmt.Fprintf(stderr, "logfence: %v\n", err)
		return exitFailure
	}
}

func (p process) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "logfence",
		Short: "The multi-tenant gateway in front of Grafana Loki",
		Long: `logfence is a gateway in front of Grafana Loki that confines every query to the tenants in
the caller's token: every byte of a response comes from their streams.

Its settings are environment variables; "logfence serve --help" lists them.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("no command given; there are serve, check, access, fence and version")}
			}
			if args[0] == "demo" { // what it was until logfence-demo
				return usageError{errors.New("the demo is a program of its own, logfence-demo; run make run in a checkout")}
			}
			return usageError{fmt.Errorf("unknown command %q; there are serve, check, access, fence and version", args[0])}
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(p.serveCommand(), p.checkCommand(), p.accessCommand(), p.fenceCommand(), p.versionCommand())
	return root
}

// exactly accepts n arguments; its error says what they are.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%d arguments given; want %s", len(args), what)}
		}
		return nil
	}
}

// configFlag adds the flag that serve and check share.
func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "YAML `file` with settings; the environment wins over it")
}
