package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/config"
)

// TestDemoEnvironment guarantees that the demo's own Loki and issuer are used whatever is set outside,
// and that the rest of what is set outside holds.
func TestDemoEnvironment(t *testing.T) {
	outside := []string{
		"LOGFENCE_LOKI_URL=https://production", "LOGFENCE_JWT_KEYS_FILE=/production.pem", "LOGFENCE_JWT_ISSUER=https://production",
		"LOGFENCE_LOG_FORMAT=json", "LOGFENCE_MAX_LINES=7",
	}
	own := demoSettings{loki: "http://127.0.0.1:1", issuer: "http://127.0.0.1:2", jwks: "http://127.0.0.1:2/jwks.json"}
	env := own.environment(slices.Clone(outside), "127.0.0.1:8080", "127.0.0.1:9090")
	c, err := config.Load(env, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(env, " "), "production") {
		t.Errorf("what is set outside reached the demo: %q", env)
	}
	if c.Loki.URL != "http://127.0.0.1:1" || c.Auth.Issuers[0].URL != "http://127.0.0.1:2" || c.Addr != "127.0.0.1:8080" ||
		c.LogFormat != "json" || c.Limits.MaxLines != 7 {
		t.Errorf("%+v", c)
	}
}

// TestUsage guarantees that --help is no failure, and that a mistake on the command line starts
// nothing and is shown.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"--help"}, 0, "Usage: logfence-demo"},
		{[]string{"--lokki", "x"}, exitMistake, "-lokki"},
		{[]string{"now"}, exitMistake, "1 arguments given; it takes none"},
	} {
		var stdout, stderr bytes.Buffer
		if got := run(t.Context(), tt.args, nil, &stdout, &stderr); got != tt.status || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("run(%q) = %d, want %d\n%s", tt.args, got, tt.status, &stderr)
		}
	}
}
