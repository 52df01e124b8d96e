package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/logfence/logfence/internal/config"
)

// liveTime is how long a running logfence may take to say that it lives.
const liveTime = 3 * time.Second

// checkLive asks the logfence that runs here whether it lives. Whether it is ready is another question:
// a container that is killed because Loki is away would come back to the same Loki.
func (p process) checkLive(ctx context.Context, file string) error {
	addr, err := config.AdminAddr(p.env, file)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("read the admin address: %w", err)
	}
	if port == "0" {
		return errors.New("LOGFENCE_ADMIN_ADDR has port 0, which is another one at each start; name a port to be asked at")
	}
	switch ip := net.ParseIP(host); { // not "localhost": an image from scratch has no /etc/hosts
	case host == "" || ip.Equal(net.IPv4zero):
		host = "127.0.0.1"
	case ip.Equal(net.IPv6unspecified):
		host = "::1"
	}
	addr = net.JoinHostPort(host, port)
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	if err := askLive(ctx, "http://"+addr+"/healthz"); err != nil {
		return fmt.Errorf("logfence at %s does not live: %w", addr, err)
	}
	if _, err := fmt.Fprintf(p.stdout, "logfence at %s lives\n", addr); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func askLive(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	// A transport of its own: HTTP_PROXY, which the container may have for its issuer, has no way in.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var health struct{ Status string }
	err = json.NewDecoder(http.MaxBytesReader(nil, response.Body, maxHealthBytes)).Decode(&health)
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("it answers %s", response.Status)
	case err != nil || health.Status != "alive":
		return errors.New("what answers there is not logfence")
	}
	return nil
}

// maxHealthBytes is more than logfence ever says of its health.
const maxHealthBytes = 4 << 10
