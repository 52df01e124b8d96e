package httpapi

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/lokitest"
)

// TestHTTP10 guarantees that a response over HTTP/1.0, which ends with its connection, does not look complete when it was
// cut off: the connection is reset, and over TLS the session is not closed. A complete one ends in order.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		for _, fails := range []bool{false, true} {
			t.Run(fmt.Sprintf("TLS=%t,fails=%t", secure, fails), func(t *testing.T) {
				t.Parallel()
				g, _ := exporting(t, 0)
				if fails {
					failingAfter(g, 3)
				} else {
					addExported(g.loki, 100)
				}
				text, err := overHTTP10(t, g, secure, exportPath+"?format=text&query="+url.QueryEscape(`{app="export"}`))
				switch {
				case !strings.HasPrefix(text, "HTTP/1.0 200") || strings.Contains(text, "Trailer"):
					t.Errorf("got %q", text)
				case fails && err == nil:
					t.Errorf("it looks complete: %q", text)
				case !fails && (err != nil || strings.Count(text, "\n") < 100):
					t.Errorf("%v after %q", err, text)
				}
			})
		}
	}
}

// failingAfter makes a gateway's Loki fail after so many requests.
func failingAfter(g *gateway, requests int) {
	complete := &lokitest.Loki{Now: func() time.Time { return now }}
	addExported(complete, 100)
	n := 0 // requests of one export, one after the other
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n > requests {
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		complete.ServeHTTP(w, r)
	}))
}

// overHTTP10 sends a GET over HTTP/1.0 and reads until the connection ends.
func overHTTP10(t *testing.T, g *gateway, secure bool, target string) (string, error) {
	t.Helper()
	server := httptest.NewUnstartedServer(g.server.Public())
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if secure {
		conn = tls.Client(conn, &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", target, alphaToken); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}
