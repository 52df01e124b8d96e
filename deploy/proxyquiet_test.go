package deploy

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/lokitest"
)

// quietProxies have the documented configurations, but for the time-outs: nginx's default, which is 60 s, and as much for haproxy,
// which has none.
var quietProxies = []proxyProgram{
	nginx.changed("proxy_read_timeout 10m;", "", "proxy_send_timeout 10m;", ""),
	haproxy.changed("timeout client 10m", "timeout client 60s", "timeout server 10m", "timeout server 60s", "timeout tunnel 1h", "timeout tunnel 60s"),
}

// TestQuietTailsBehindProxies guarantees that live tails without a line outlive the usual time-outs of proxies, by their heartbeats:
// a line that comes after 75 seconds and more is received on the same connection. It takes as long, so it runs with
// LOGFENCE_TEST_LOAD=proxies alone.
func TestQuietTailsBehindProxies(t *testing.T) {
	t.Parallel()
	if os.Getenv("LOGFENCE_TEST_LOAD") != "proxies" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to proxies")
	}
	for _, p := range quietProxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			x := behind(t, p, nil)
			x.loki.PingEvery = time.Second
			x.each(t, "tails", func(t *testing.T, protocol string) {
				t.Parallel()
				x.testQuiet(t, protocol)
			})
		})
	}
}

// testQuiet opens both kinds of tails, and waits for heartbeats before it has a line written.
func (x *proxied) testQuiet(t *testing.T, protocol string) {
	app := "quiet-" + strings.ReplaceAll(protocol, "/", "")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	frames := make(chan string, 1)
	if protocol == "HTTP/1.1" {
		conn, response, err := websocket.Dial(ctx, "wss"+strings.TrimPrefix(x.url, "https")+`/loki/api/v1/tail?query=%7Bapp%3D%22`+app+`%22%7D`, &websocket.DialOptions{
			HTTPClient: x.clients[protocol], HTTPHeader: http.Header{"Authorization": {"Bearer " + x.token}},
		})
		if err != nil {
			t.Fatalf("%v, %v", response, err)
		}
		defer conn.CloseNow() //nolint:errcheck // it is only read
		go func() {
			defer close(frames)
			if _, message, err := conn.Read(ctx); err == nil {
				frames <- string(message)
			}
		}()
	} else {
		frames <- "late line" // WebSockets are HTTP/1.1's
	}
	response, err := x.get(t, protocol, "/api/v1/logs/tail", nil, "query", `{app="`+app+`"}`)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	stop := context.AfterFunc(ctx, func() { response.Body.Close() })
	defer stop()
	began, heartbeats := time.Now(), 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		switch text := lines.Text(); {
		case strings.Contains(text, "late line"):
			if frame := <-frames; !strings.Contains(frame, "late line") {
				t.Errorf("the WebSocket received %q", frame)
			}
			t.Logf("a line after %s and %d heartbeats", time.Since(began).Round(time.Second), heartbeats)
			return
		case strings.HasPrefix(text, ":"):
			if heartbeats++; heartbeats == quietHeartbeats {
				x.loki.Push(lokitest.Lines(map[string]string{"tenant_id": "alpha", "app": app}, time.Now(), "late line"))
			}
		}
	}
	t.Errorf("the tail ended after %s and %d heartbeats, without a line", time.Since(began), heartbeats)
}

// quietHeartbeats are 75 seconds at least: they come every 15, the first of them maybe at once.
const quietHeartbeats = 6
