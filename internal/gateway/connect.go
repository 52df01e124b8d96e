package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// connectTime is how long each service has to respond.
const connectTime = 10 * time.Second

// Connection is how an attempt to use a service that logfence needs went.
type Connection struct {
	// Service is Loki at one of its URLs, or Redis. It shows no credentials.
	Service string
	// Found is what there is, such as Loki's version; Warning is what an operator has to know of it.
	Found, Warning string
	// Err is why logfence could not use it. It distinguishes a service that cannot be reached from one that refuses.
	Err error
}

// Connect uses each URL of Loki, and Redis where it is configured, as requests do. No log lines are read, and only keys that are no
// tenant's are written. The identity providers are [auth.Config.FetchIssuers]'s.
func Connect(ctx context.Context, c config.Config) []Connection {
	var all []Connection
	for url := range strings.SplitSeq(c.Loki.URL, ",") {
		one := c.Loki
		one.URL = strings.TrimSpace(url)
		all = append(all, connectLoki(ctx, one, c.Tenancy))
	}
	if c.Limits.Redis.Enabled() {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		all = append(all, Connection{Service: "Redis", Err: c.Limits.Redis.Try(ctx)})
	}
	return all
}

// connectLoki requests the version of a Loki, and a query that reads no stream: many reverse proxies route the two to different
// servers, and only the query needs an organization.
func connectLoki(ctx context.Context, c loki.Config, fenced tenancy.Config) Connection {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	found := Connection{Service: "Loki at " + config.ShownURL(c.URL)}
	client, err := loki.New(c)
	if err != nil {
		found.Err = err
		return found
	}
	defer client.Close()
	info, err := client.BuildInfo(ctx)
	if err != nil {
		found.Err = lokiError("version", err)
		return found
	}
	found.Found = "version " + info.Version
	if found.Warning, found.Err = versionWarning(info.Version); found.Err == nil {
		found.Err = tryQuery(ctx, client, fenced)
	}
	return found
}

// nobody is a tenant that need not exist: it gives the query an organization where that is made of the tenant.
const nobody tenant.Name = "logfence-check"

func tryQuery(ctx context.Context, client *loki.Client, c tenancy.Config) error {
	fence, err := tenancy.New(c)
	if err != nil {
		return fmt.Errorf("make the fence: %w", err)
	}
	scope, err := fence.Scope([]tenant.Name{nobody})
	if err != nil {
		return fmt.Errorf("make a scope: %w", err)
	}
	query, err := scope.Query("vector(1)+vector(1)") // Grafana's health check
	if err != nil {
		return fmt.Errorf("make a query: %w", err)
	}
	response, err := client.QueryInstant(ctx, loki.RequestOptions{}, query, loki.InstantParams{})
	if err != nil {
		return lokiError("query", err)
	}
	defer response.Body.Close() //nolint:errcheck // it is only read
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return lokiError("query", err)
	}
	return nil
}

// lokiError is an error of Loki's with its cause, which is for operators.
func lokiError(what string, err error) error {
	cause := err
	var e *loki.Error
	if errors.As(err, &e) {
		cause = e.Cause
	}
	if isUnreached(err) {
		return fmt.Errorf("%s: cannot be reached: %w", what, cause)
	}
	outcome, hint := "it does not respond as Loki does", ""
	if errors.Is(err, loki.ErrDenied) {
		outcome = "it denies access"
	}
	for status, advice := range map[string]string{
		"status 401": "; check LOGFENCE_LOKI_BEARER_TOKEN_FILE or LOGFENCE_LOKI_BASIC_AUTH_FILE and, where Loki has auth_enabled, LOGFENCE_LOKI_ORG_ID",
		"status 403": "; the credentials are known, and may not do this",
		"status 404": "; check the path of LOGFENCE_LOKI_URL: it ends before /loki/api/v1",
	} {
		if strings.HasPrefix(cause.Error(), status) {
			hint = advice
		}
	}
	return fmt.Errorf("%s: %s: %w%s", what, outcome, cause, hint)
}
