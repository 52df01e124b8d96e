package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/tenancy"
)

// accessArgs are the flags and the argument of the access command.
type accessArgs struct {
	config, token, claims string
	query                 string
}

func (p process) accessCommand() *cobra.Command {
	var a accessArgs
	c := &cobra.Command{
		Use:   "access (--token-file <file> | --claims <file>) [query]",
		Short: "Show which grants apply to a token, and what a query becomes",
		Long: `Access reads the file of grants in LOGFENCE_ACCESS_FILE, and shows for the claims of a token which
grants apply, why the others do not, and what the caller can choose from. With a query it shows what
the query becomes with each choice. Nothing is sent, and the token is not verified: "logfence check
--token-file" does that. The exit status is 1 where no grant applies.`,
		Example: `  logfence access --token-file token.jwt '{app="web"}'
  logfence access --claims claims.json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a.query = strings.Join(args, "")
			if (a.token == "") == (a.claims == "") {
				return usageError{errors.New("give one of --token-file and --claims")}
			}
			return p.access(a)
		},
	}
	configFlag(c, &a.config)
	c.Flags().StringVar(&a.token, "token-file", "", "read the claims of the token in a `file`, or in standard input for -")
	c.Flags().StringVar(&a.claims, "claims", "", "read the claims from a `file` of JSON, with the issuer as iss")
	return c
}

func (p process) access(a accessArgs) error {
	c, err := config.Load(p.env, a.config)
	if err != nil {
		return err
	}
	rules := c.Access()
	if rules == nil {
		return usageError{errors.New("LOGFENCE_ACCESS_FILE is not set: without grants, the tenant claim names the tenants")}
	}
	issuer, claims, err := p.readClaims(a)
	if err != nil {
		return err
	}
	for _, v := range rules.Explain(issuer, claims) {
		if v.Applies {
			_, _ = fmt.Fprintf(p.stdout, "%s applies: %s\n", v.Grant, v.Gives)
		} else {
			_, _ = fmt.Fprintf(p.stdout, "%s does not apply: %s\n", v.Grant, v.Why)
		}
	}
	choices, err := rules.Resolve(issuer, claims)
	if err != nil {
		return err
	}
	selector, err := c.Auth.SelectorIn(issuer, claims)
	if err != nil {
		return fmt.Errorf("the selector claim: %w; the token would be refused", err)
	}
	return p.showChoices(c, choices, selector, a.query)
}

func (p process) readClaims(a accessArgs) (issuer string, claims map[string]any, err error) {
	if a.claims != "" {
		content, err := os.ReadFile(a.claims)
		if err != nil {
			return "", nil, fmt.Errorf("read the claims: %w", err)
		}
		return auth.ParseClaims(content)
	}
	token, err := p.readToken(a.token)
	if err != nil {
		return "", nil, err
	}
	return auth.UnverifiedClaims(token)
}

// showChoices prints what the caller can choose from, and what a query becomes with each.
func (p process) showChoices(c config.Config, choices access.Choices, selector, query string) error {
	fence, err := tenancy.New(c.Tenancy)
	if err != nil {
		return err
	}
	chosen, chooseErr := choices.Choose("", false)
	for _, choice := range choices.All() {
		mark := ""
		if chooseErr == nil && choice.Names[0] == chosen.Names[0] {
			mark = " (used without X-Logfence-Grant)"
		}
		_, _ = fmt.Fprintf(p.stdout, "X-Logfence-Grant %s: %s%s\n", strings.Join(choice.Names, " or "), choice, mark)
		if _, err := choices.Choose(choice.Names[0], true); err != nil {
			_, _ = fmt.Fprintf(p.stdout, "  refused: %v\n", err)
			continue
		}
		if query == "" {
			continue
		}
		becomes, err := fenced(fence, choice, selector, query)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(p.stdout, "  %s\n", becomes)
	}
	if chooseErr != nil {
		_, _ = fmt.Fprintf(p.stdout, "without X-Logfence-Grant: refused, %v\n", chooseErr)
	}
	return nil
}

// fenced is a query as it would go to Loki with a choice.
func fenced(fence *tenancy.Fence, choice access.Choice, selector, query string) (string, error) {
	var scope tenancy.Scope
	var err error
	if choice.Any {
		scope, err = fence.AnyTenant(choice.Selector.String(), selector)
	} else {
		scope, err = fence.Scope(choice.Tenants, choice.Selector.String(), selector)
	}
	if err != nil {
		return "", err
	}
	q, err := scope.Query(query)
	return q.LogQL(), err
}
