package edge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"flywheel.prim.sh/e2e/testbed/internal/bed"
	"flywheel.prim.sh/e2e/testbed/internal/proc"
)

// object is a JSON object.
type object = map[string]any

// baseConfig is Caddy's configuration around the given routes. clientCert is
// the DER form of the one certificate that the admin API lets in.
func baseConfig(clientCert []byte, routes []any) object {
	zone := "*." + bed.Zone
	hidden := object{"disable": true}
	return object{
		"admin": object{
			// The plain admin API would be open to every process in the namespace.
			"disabled": true,
			"identity": object{
				"identifiers": []any{AdminName, bed.EdgeIP},
				"issuers":     []any{object{"module": "internal", "ca": "admin"}},
			},
			"remote": object{
				"listen": bed.EdgeIP + ":2021",
				"access_control": []any{object{
					"public_keys": []any{base64.StdEncoding.EncodeToString(clientCert)},
					// Caddy looks at a path by id twice: as it came, and as the place
					// that it stands for. So this reaches nothing but the routes' object.
					"permissions": []any{object{
						"paths":   []any{"/id/", objectPath, "/reverse_proxy/upstreams"},
						"methods": []any{"GET", "POST", "PUT", "PATCH", "DELETE"},
					}},
				}},
			},
		},
		"apps": object{
			"pki": object{"certificate_authorities": object{
				// Nothing is put into the machine's trust store.
				"local": object{"name": "Flywheel test edge", "install_trust": false},
				"admin": object{"name": "Flywheel test edge admin", "install_trust": false},
			}},
			"tls": object{
				// One certificate for all names: a new one is served at once.
				"certificates": object{"automate": []any{zone}},
				"automation": object{"policies": []any{
					object{"subjects": []any{zone}, "issuers": []any{object{"module": "internal"}}},
				}},
			},
			"http": object{"servers": object{
				"flywheel": object{
					"listen":                  []any{Address},
					"protocols":               []any{"h1", "h2"},
					"automatic_https":         hidden,
					"tls_connection_policies": []any{object{}},
					"routes": []any{
						object{"handle": []any{
							object{"@id": RoutesID, "handler": "subroute", "routes": routes},
						}},
						object{"handle": []any{
							object{"handler": "static_response", "status_code": 404, "body": "nothing is served under this name\n"},
						}},
					},
				},
				"redirect": object{
					"listen":          []any{bed.EdgeIP + ":80"},
					"protocols":       []any{"h1"},
					"automatic_https": hidden,
					"routes": []any{object{"handle": []any{object{
						"handler": "static_response", "status_code": 308,
						"headers": object{"Location": []any{"https://{http.request.host}{http.request.uri}"}},
					}}}},
				},
			}},
		},
	}
}

// routesIn finds the routes in a configuration that Caddy saved.
func routesIn(saved []byte) ([]any, error) {
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []struct {
						Handle []struct {
							ID     string `json:"@id"`
							Routes []any  `json:"routes"`
						} `json:"handle"`
					} `json:"routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(saved, &config); err != nil {
		return nil, err
	}
	for _, route := range config.Apps.HTTP.Servers["flywheel"].Routes {
		for _, handler := range route.Handle {
			if handler.ID == RoutesID {
				return append([]any{}, handler.Routes...), nil
			}
		}
	}
	return nil, errors.New("no object " + RoutesID + " in it")
}

// prepareConfig writes the configuration that Caddy resumes from: the base,
// with the routes that Caddy saved when it last ran. It returns the path of the
// base alone, whose change is what makes a running Caddy start anew.
func prepareConfig(b *bed.Bed, clientCert []byte) (path, note string, err error) {
	path = b.Path("edge", "caddy.json")
	base, err := render(clientCert, []any{})
	if err != nil {
		return "", "", err
	}
	have, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", err
	}
	running, err := runs(b)
	if err != nil {
		return "", "", err
	}
	if running && bytes.Equal(have, base) {
		return path, "", nil // the saved file is Caddy's, perhaps just being written
	}

	saved := b.Path("edge", "config", "caddy", "autosave.json")
	routes := []any{}
	data, err := os.ReadFile(saved)
	switch {
	case err == nil:
		if routes, err = routesIn(data); err != nil {
			// The controller states the routes anew; the edge must come up.
			routes, note = []any{}, fmt.Sprintf("routes lost (autosave.json: %v)", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return "", "", err
	}
	resume, err := render(clientCert, routes)
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(filepath.Dir(saved), 0o700); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(saved, resume, 0o600); err != nil {
		return "", "", err
	}
	return path, note, os.WriteFile(path, base, 0o600)
}

func render(clientCert []byte, routes []any) ([]byte, error) {
	return json.MarshalIndent(baseConfig(clientCert, routes), "", "  ")
}

func runs(b *bed.Bed) (bool, error) {
	all, err := proc.All(b)
	for _, s := range all {
		if s.Name == "edge" && s.Alive {
			return true, err
		}
	}
	return false, err
}
