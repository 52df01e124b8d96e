package httpapi

import (
	"context"
	"fmt"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/web"
)

// loadSpec returns the embedded openapi.yaml, read once; nothing changes it.
var loadSpec = sync.OnceValues(api.GetSpec)

// Explore configures the log explorer.
type Explore struct {
	SignIn web.OIDCLogin
	// Links are the rules by which it makes links of what lines hold.
	Links web.Links
	// Origins returns the origins of the identity provider, to which the page sends requests; nil: there are none.
	Origins func(context.Context) []string
}

// registerPages serves the spec, its reference and the log explorer: the only resources on the public
// listener that need no token. The explorer sends its user's token to the API. base is where callers find the API.
func registerPages(e *echo.Echo, explore *Explore, base string) error {
	pages, err := web.Pages(base)
	if err != nil {
		return fmt.Errorf("make the reference: %w", err)
	}
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	if explore == nil {
		return nil
	}
	if pages, err = web.Explore(web.Settings{OIDCLogin: explore.SignIn, Links: explore.Links}, explore.Origins); err != nil {
		return fmt.Errorf("make the log explorer: %w", err)
	}
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	return nil
}
