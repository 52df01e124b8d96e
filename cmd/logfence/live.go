package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/logfence/logfence/internal/config"
)

// liveTime is how long a running logfence may take to respond.
const liveTime = 3 * time.Second

// checkLive checks that the logfence of this machine is running, by /healthz and not by /readyz: a container
// that is killed because Loki is down would come back to the same Loki.
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
		return errors.New("LOGFENCE_ADMIN_ADDR has port 0, which is another port at each start; set a fixed port")
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
	if err := requestHealth(ctx, "http://"+addr+"/healthz"); err != nil {
		return fmt.Errorf("logfence at %s is not running: %w", addr, err)
	}
	if _, err := fmt.Fprintf(p.stdout, "logfence at %s is running\n", addr); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	ready := requestReadiness(ctx, "http://"+addr+"/readyz?exclude=loki")
	for _, wall := range slices.Sorted(maps.Keys(ready.Walls)) {
		_, _ = fmt.Fprintf(p.stdout, "Loki's %s: %s\n", wall, ready.Walls[wall])
	}
	for _, check := range slices.Sorted(maps.Keys(ready.Warnings)) {
		_, _ = fmt.Fprintf(p.stderr, "logfence: warning: %s: %s\n", check, ready.Warnings[check])
	}
	return nil
}

// readiness is what /readyz has beside the checks.
type readiness struct{ Warnings, Walls map[string]string }

// requestReadiness reads /readyz. It changes nothing of the health: without a response there is nothing to show.
func requestReadiness(ctx context.Context, url string) (ready readiness) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return readiness{}
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return readiness{}
	}
	defer func() { _ = response.Body.Close() }()
	if json.NewDecoder(http.MaxBytesReader(nil, response.Body, maxReadyBytes)).Decode(&ready) != nil {
		return readiness{}
	}
	return ready
}

// maxReadyBytes bounds what is read of /readyz, which names issuers and their errors.
const maxReadyBytes = 64 << 10

func requestHealth(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	// A transport of its own, which ignores HTTP_PROXY: the container may have it for its issuer.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var health struct{ Status string }
	err = json.NewDecoder(http.MaxBytesReader(nil, response.Body, maxHealthBytes)).Decode(&health)
	switch {
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("it responds with %s", response.Status)
	case err != nil || health.Status != "alive":
		return errors.New("the response is not logfence's")
	}
	return nil
}

// maxHealthBytes is more than logfence's health response ever has.
const maxHealthBytes = 4 << 10
