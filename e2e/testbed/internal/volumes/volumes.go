// Package volumes provisions local volumes: a directory on the node for every
// claim of the storage class that a pod waits for, removed with the claim.
package volumes

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"flywheel.prim.sh/e2e/testbed/internal/kube"
)

const (
	// StorageClass is the default class of the bed's cluster.
	StorageClass = "local"
	// Provisioner is the name by which the class and its volumes refer to Run.
	Provisioner = "flywheel.prim.sh/local"

	claimsPath  = "/api/v1/persistentvolumeclaims"
	volumesPath = "/api/v1/persistentvolumes"

	// resync repairs what an event that was missed while a watch was renewed
	// would have told.
	resync     = 30 * time.Second
	retryAfter = time.Second
)

// Config is what Run needs to know.
type Config struct {
	Client *kube.Client
	Dir    string // where the volumes' directories go
	Health string // address that answers /healthz after the first pass
}

// Run provisions and removes volumes until ctx ends or it cannot go on.
func Run(ctx context.Context, c Config) error {
	// Pods reach their directories by mounts; nobody needs to look around here.
	if err := os.MkdirAll(c.Dir, 0o711); err != nil {
		return err
	}
	var healthy atomic.Bool
	failed := make(chan error, 1)
	go func() { failed <- serveHealth(c.Health, &healthy) }()

	changed := make(chan struct{}, 1)
	for _, path := range []string{claimsPath, volumesPath} {
		go watch(ctx, c.Client, path, changed)
	}
	for {
		if err := c.reconcile(ctx); err != nil {
			log.Printf("reconcile: %v", err)
			select {
			case changed <- struct{}{}:
			default:
			}
			if !pause(ctx, retryAfter) {
				return nil
			}
		} else {
			healthy.Store(true)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case <-changed:
		case <-time.After(resync):
		}
	}
}

// watch notes in changed that something happened. One pending note is enough:
// a pass looks at everything.
func watch(ctx context.Context, client *kube.Client, path string, changed chan<- struct{}) {
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for ctx.Err() == nil {
		if err := client.Watch(ctx, path, note); err != nil && ctx.Err() == nil {
			log.Printf("watch %s: %v", path, err)
			pause(ctx, retryAfter)
		}
		note()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func serveHealth(address string, healthy *atomic.Bool) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			http.Error(w, "no pass succeeded yet", http.StatusServiceUnavailable)
		}
	})
	server := http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}

// reconcile makes a volume for each claim that waits for one and removes the
// volumes whose claims are gone.
func (c Config) reconcile(ctx context.Context) error {
	var claims list[claim]
	if err := c.Client.Get(ctx, claimsPath, &claims); err != nil {
		return err
	}
	var all error
	for _, cl := range claims.Items {
		if !cl.waits() {
			continue
		}
		if err := c.provision(ctx, cl); err != nil {
			all = errors.Join(all, fmt.Errorf("claim %s/%s: %w", cl.Metadata.Namespace, cl.Metadata.Name, err))
		}
	}
	var known list[volume]
	if err := c.Client.Get(ctx, volumesPath, &known); err != nil {
		return errors.Join(all, err)
	}
	for _, v := range known.Items {
		if !v.released() {
			continue
		}
		if err := c.remove(ctx, v); err != nil {
			all = errors.Join(all, fmt.Errorf("volume %s: %w", v.Metadata.Name, err))
		}
	}
	return all
}

func (c Config) provision(ctx context.Context, cl claim) error {
	v := newVolume(cl, c.Dir)
	// Any user id may be the pod's; the directory above keeps others out.
	if err := os.MkdirAll(v.Spec.Local.Path, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(v.Spec.Local.Path, 0o777); err != nil { // the umask took part
		return err
	}
	err := c.Client.Create(ctx, volumesPath, v)
	if kube.Conflict(err) {
		return nil // made by an earlier pass, not bound yet
	}
	if err == nil {
		log.Printf("made %s for %s/%s", v.Metadata.Name, cl.Metadata.Namespace, cl.Metadata.Name)
	}
	return err
}

func (c Config) remove(ctx context.Context, v volume) error {
	// Only what was made here may be removed here, whatever the object says.
	if v.Spec.Local == nil || v.Spec.Local.Path != filepath.Join(c.Dir, v.Metadata.Name) {
		return fmt.Errorf("its directory is not one of this provisioner's")
	}
	if err := os.RemoveAll(v.Spec.Local.Path); err != nil {
		return err
	}
	log.Printf("removed %s", v.Metadata.Name)
	return c.Client.Delete(ctx, volumesPath+"/"+v.Metadata.Name)
}
