package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestUnsentIsBounded guarantees that the kernel holds little of a response for a client that does not read, however much was written.
func TestUnsentIsBounded(t *testing.T) {
	unsent := make(chan int, 1)
	ctx, stop := context.WithCancel(t.Context())
	url, ended := startGateway(ctx, t, drain{}, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			close(unsent)
			return
		}
		defer conn.Close()
		for err == nil { // until nothing is taken any more
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
			_, err = conn.Write(make([]byte, 64<<10))
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		unsent <- unsentOf(t, conn.(*net.TCPConn))
	})
	client, err := net.Dial("tcp", url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	// A piece that the kernel has begun to take may be beyond the bound.
	if got, most := <-unsent, maxUnsent+64<<10; got > most {
		t.Errorf("%d bytes are unsent, want %d at most", got, most)
	}
	_ = client.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// unsentOf is how much the kernel holds of a connection that it has not sent (SIOCOUTQNSD).
func unsentOf(t *testing.T, conn *net.TCPConn) (bytes int) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const outqNSD = 0x894B
	if err := raw.Control(func(fd uintptr) {
		if bytes, err = unix.IoctlGetInt(int(fd), outqNSD); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return bytes
}
