package auth

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestTokenOrigin guarantees that a token endpoint on another host is found, requested only now and then,
// and kept through an outage of the provider.
func TestTokenOrigin(t *testing.T) {
	t.Parallel()
	requests, down := 0, true
	var issuer string
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","token_endpoint":"https://tokens.example.com:8443/oauth/token"}`))
	}))
	defer provider.Close()
	issuer = provider.URL
	now := time.Now()
	e := NewEndpoints(issuer, true)
	e.now = func() time.Time { return now }
	for _, step := range []struct {
		name     string
		after    time.Duration
		down     bool
		want     string
		requests int
	}{
		{"away", 0, true, "", 1},
		{"not requested again at once", time.Second, true, "", 1},
		{"back", endpointsRetry, false, "https://tokens.example.com:8443", 2},
		{"remembered", time.Minute, false, "https://tokens.example.com:8443", 2},
		{"away again", refreshInterval, true, "https://tokens.example.com:8443", 3},
	} {
		now, down = now.Add(step.after), step.down
		if got := e.TokenOrigin(t.Context()); got != step.want || requests != step.requests {
			t.Errorf("%s: %q after %d requests, want %q after %d", step.name, got, requests, step.want, step.requests)
		}
	}
	if e.Origin() != issuer {
		t.Errorf("the issuer's origin is %q", e.Origin())
	}
}

// TestOriginOf guarantees that what goes into a Content-Security-Policy can only be an origin.
func TestOriginOf(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://id.example.com/realms/a":     "https://id.example.com",
		"https://[::1]:8443/token":            "https://[::1]:8443",
		"http://id.example.com/":              "",
		"https://id.example.com;script-src *": "",
		"https://*/token":                     "",
		"https://a b/":                        "",
		"javascript:alert(1)":                 "",
		"acme":                                "",
	} {
		if got, _ := originOf(raw, false); got != want {
			t.Errorf("originOf(%q) = %q, want %q", raw, got, want)
		}
	}
}
