package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/demo"
)

// clientSuite is what one client of Loki sends, as far as its documentation and reports of its users show it.
type clientSuite struct {
	Client, Version string
	Header          map[string]string // of each request
	Requests        []clientRequest
}

type clientRequest struct {
	What, Path string
	// Params are in the URL, Form in a body; both are name=value, with $start and $end in nanoseconds and $seconds_start
	// and $seconds_end in seconds.
	Params, Form []string
	// StatusOnly is set where the body is not Loki's own.
	StatusOnly bool
	// Empty is set where both responses may have nothing in them.
	Empty bool
	// Says is a part of the response on both sides, where its figures differ.
	Says string
}

// TestClients guarantees that each client of Loki gets from logfence what it gets from a Loki that holds its tenant's logs
// alone: the same response, or an error with the same status and text.
func TestClients(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "clients", "*.json"))
	if err != nil || len(files) < 9 {
		t.Fatalf("%d files of clients: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite clientSuite
		if err := json.Unmarshal(text, &suite); err != nil || suite.Client == "" || suite.Version == "" {
			t.Fatalf("%s: %v", file, err)
		}
		for _, r := range suite.Requests {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+r.What, func(t *testing.T) {
				t.Parallel()
				suite.replay(t, r)
			})
		}
	}
}

func (s *clientSuite) replay(t *testing.T, r clientRequest) {
	through := s.send(t, r, on.gateway.public, tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
	direct := s.send(t, r, on.alone.URL(), "")
	unleaked(t, through)
	switch {
	case through.status != direct.status:
		t.Errorf("through logfence: %d %.300s\ndirectly: %d %.300s", through.status, through.body, direct.status, direct.body)
	case r.StatusOnly:
	case r.Says != "":
		for _, body := range [][]byte{through.body, direct.body} {
			if !strings.Contains(string(body), r.Says) {
				t.Errorf("%.300s\nlacks %q", body, r.Says)
			}
		}
	case through.status != http.StatusOK:
		if strings.TrimSpace(string(through.body)) != strings.TrimSpace(string(direct.body)) {
			t.Errorf("through logfence: %s\ndirectly: %s", through.body, direct.body)
		}
	default:
		if !sameResponse(t, through, direct) && !r.Empty && !t.Failed() {
			t.Errorf("the responses are empty, which proves little: %.300s", direct.body)
		}
	}
}

// send sends a request as the client does, following redirects.
func (s *clientSuite) send(t *testing.T, r clientRequest, base, token string) response {
	t.Helper()
	req, err := r.build(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range s.Header {
		req.Header.Set(name, value)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := do(req)
	if err != nil {
		t.Fatal(err)
	}
	if token == "" {
		return got
	}
	if err := on.contract.check(req, got.status, got.header, got.body); err != nil && !errors.Is(err, errNotInSpec) {
		t.Errorf("%v\n%.600s", err, got.body)
	}
	return got
}

func (r clientRequest) build(ctx context.Context, base string) (*http.Request, error) {
	target := base + r.Path
	if len(r.Params) > 0 {
		target += "?" + encodePairs(r.Params)
	}
	if len(r.Form) == 0 {
		return http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(encodePairs(r.Form)))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return req, err
}

// encodePairs writes parameters in their order.
func encodePairs(pairs []string) string {
	w := on.fresh
	values := strings.NewReplacer(
		"$start", nanoseconds(w.start), "$end", nanoseconds(w.end),
		"$seconds_start", strconv.FormatInt(w.start.Unix(), 10), "$seconds_end", strconv.FormatInt(w.end.Unix(), 10),
	)
	encoded := make([]string, len(pairs))
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		encoded[i] = url.QueryEscape(name) + "=" + url.QueryEscape(values.Replace(value))
	}
	return strings.Join(encoded, "&")
}
