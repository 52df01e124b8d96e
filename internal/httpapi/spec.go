package httpapi

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
)

// theSpec is openapi.yaml as it is built in, read once; nothing changes it.
var theSpec = sync.OnceValues(api.GetSpec)

// specAs is the spec as it is handed out, printed when it is first asked for.
var specAs = sync.OnceValues(func() (printed struct{ json, yaml []byte }, err error) {
	spec, err := theSpec()
	if err != nil {
		return printed, fmt.Errorf("read the embedded spec: %w", err)
	}
	if printed.json, err = spec.MarshalJSON(); err != nil {
		return printed, fmt.Errorf("print the spec: %w", err)
	}
	if printed.yaml, err = yaml.JSONToYAML(printed.json); err != nil {
		return printed, fmt.Errorf("print the spec as YAML: %w", err)
	}
	return printed, nil
})

// registerSpec serves the contract itself: the one thing on the public listener that needs no token.
func registerSpec(e *echo.Echo) {
	e.GET("/openapi.json", func(c echo.Context) error {
		spec, err := specAs()
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, spec.json)
	})
	e.GET("/openapi.yaml", func(c echo.Context) error {
		spec, err := specAs()
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/yaml", spec.yaml)
	})
}
