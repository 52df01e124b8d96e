package httpapi

import (
	"fmt"
	"net/http"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"
)

// registerSpec serves the contract itself: the one thing on the public listener that needs no token.
func registerSpec(e *echo.Echo, spec *openapi3.T) error {
	asJSON, err := spec.MarshalJSON()
	if err != nil {
		return fmt.Errorf("print the spec: %w", err)
	}
	asYAML, err := yaml.JSONToYAML(asJSON)
	if err != nil {
		return fmt.Errorf("print the spec as YAML: %w", err)
	}
	serve := func(path, mediaType string, body []byte) {
		e.GET(path, func(c echo.Context) error { return c.Blob(http.StatusOK, mediaType, body) })
	}
	serve("/openapi.json", echo.MIMEApplicationJSON, asJSON)
	serve("/openapi.yaml", "application/yaml", asYAML)
	return nil
}
