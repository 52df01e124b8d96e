package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// fenceArgs are the flags and the argument of the fence command.
type fenceArgs struct {
	tenants  []string
	label    string
	selector string
	query    string
}

func (p process) fenceCommand() *cobra.Command {
	var a fenceArgs
	c := &cobra.Command{
		Use:   "fence --tenant <name> <query>",
		Short: "Print a query as it would go to Loki",
		Long: `Fence prints a LogQL query with the tenant's matcher in every selector, as serve would
send it to Loki. Nothing is sent. A query that is refused is reported with line and column, and the
exit status is 1. With - for the query, it is read from the standard input.`,
		Example: `  logfence fence --tenant acme '{app="web"} |= "error"'
  logfence fence --tenant acme,beta 'sum(rate({app="web"}[5m]))'`,
		Args: exactly(1, "one query in quotes, or - to read it from the standard input"),
		RunE: func(_ *cobra.Command, args []string) error {
			a.query = args[0]
			return p.fence(a)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&a.tenants, "tenant", nil, "`name` of the tenant; repeat it, or separate names by commas, for several tenants")
	f.StringVar(&a.label, "label", tenancy.DefaultLabel, "stream `label` that holds the tenant")
	f.StringVar(&a.selector, "selector", "", "stream `selector` that confines the query further, like the selector claim of a token")
	return c
}

func (p process) fence(a fenceArgs) error {
	if len(a.tenants) == 0 {
		return usageError{errors.New("--tenant is required: name the tenant of the query")}
	}
	if a.label == "" {
		return usageError{errors.New("--label is empty; name the stream label that holds the tenant")}
	}
	fence, err := tenancy.New(tenancy.Config{Label: a.label})
	if err != nil {
		return usageError{fmt.Errorf("--label: %s", strings.TrimPrefix(err.Error(), "Label: "))}
	}
	scope, err := fence.Scope(tenant.Names(a.tenants), a.selector)
	if err != nil {
		return usageError{err}
	}
	text := a.query
	if text == "-" {
		if text, err = readQuery(p.stdin, tenancy.MaxQueryBytes); err != nil {
			return err
		}
	}
	q, err := scope.Query(text)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.stdout, q.LogQL()); err != nil {
		return fmt.Errorf("print query: %w", err)
	}
	return nil
}

// readQuery reads a query without the line break that ends a file. One byte more than may be is read,
// so that the fence reports that it is too long.
func readQuery(r io.Reader, most int) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, int64(most)+3))
	if err != nil {
		return "", fmt.Errorf("read query: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), nil
}
