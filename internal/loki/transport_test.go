package loki

import "testing"

// TestNoProxy guarantees that the environment cannot put a third machine between us and Loki.
// Internal, since net/http reads the environment once a process and never proxies to loopback addresses.
func TestNoProxy(t *testing.T) {
	if new(Client).newTransport().Proxy != nil {
		t.Error("the transport has a proxy")
	}
}
