package gateway

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// managed notifies the service manager that started the process, as systemd does with Type=notify (sd_notify(3)): that
// it is ready, and when it begins to stop, with the process's end as the end of both. Where the unit has WatchdogSec=, it
// notifies the manager while /healthz responds as well. Without such a manager nothing is sent. The caller calls end
// when serving has ended.
func (g *Gateway) managed(ctx context.Context) (end func()) {
	notifyManager(g.log, daemon.SdNotifyReady)
	stopNotice := context.AfterFunc(ctx, func() { notifyManager(g.log, daemon.SdNotifyStopping) })
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		g.log.WarnContext(ctx, "the watchdog of the service manager is not served", "error", err)
	}
	watched, stopWatching := context.WithCancel(context.WithoutCancel(ctx)) // while it stops, too
	var watching sync.WaitGroup
	if every > 0 {
		watching.Go(func() {
			watch(watched, g.AdminURL()+"/healthz", every, func() { notifyManager(g.log, daemon.SdNotifyWatchdog) })
		})
	}
	return func() {
		stopNotice()
		stopWatching()
		watching.Wait()
	}
}

func notifyManager(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("the service manager is not notified", "state", state, "error", err)
	}
}

// watch calls alive twice in each interval in which the URL responds with 200, until the context ends.
func watch(ctx context.Context, url string, interval time.Duration, alive func()) {
	// Its own, which ignores HTTP_PROXY, and a new connection each time: a listener that takes none is not healthy.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: interval / 2}
	ticker := time.NewTicker(interval / 2)
	defer ticker.Stop()
	for {
		if healthy(ctx, client, url) {
			alive()
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func healthy(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
