package httpapi

import (
	"context"
	"fmt"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/web"
)

// theSpec is openapi.yaml as it is built in, read once; nothing changes it.
var theSpec = sync.OnceValues(api.GetSpec)

// Explore is what the log page needs to know.
type Explore struct {
	Sign web.OIDCLogin
	// Origins tells the provider's origins, which the page asks; nil: there are none.
	Origins func(context.Context) []string
}

// registerPages serves the contract itself, its reference and the log page: the one thing on the public
// listener that needs no token. The log page brings none; it asks the API with its reader's.
func registerPages(e *echo.Echo, explore *Explore) error {
	pages, err := web.Pages()
	if err != nil {
		return fmt.Errorf("make the reference: %w", err)
	}
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	if explore == nil {
		return nil
	}
	if pages, err = web.Explore(explore.Sign, explore.Origins); err != nil {
		return fmt.Errorf("make the log page: %w", err)
	}
	for path, page := range pages {
		e.GET(path, echo.WrapHandler(page))
	}
	return nil
}
