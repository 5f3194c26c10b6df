// Command netpol enforces NetworkPolicy on the test bed's node. The CNI plugins
// ptp and bridge ignore policies; kube-router's policy controller, run alone,
// programs them as iptables rules and ipsets in the network namespace it runs in.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/cloudnativelabs/kube-router/pkg/controllers/netpol"
	"github.com/cloudnativelabs/kube-router/pkg/healthcheck"
	"github.com/cloudnativelabs/kube-router/pkg/options"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// A full resynchronisation mends rules that something else removed, or that could
// not be written; events bring every ordinary change at once. The controller does
// not try again by itself, and a pod without its rules reaches nothing meanwhile.
const syncPeriod = 10 * time.Second

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with the credentials for the API server")
	node := flag.String("node", "", "name of the node this process runs on")
	services := flag.String("service-cidr", "", "range of the cluster's service addresses")
	health := flag.String("health", "127.0.0.1:20244", "address that answers /healthz while policies are enforced")
	flag.Parse()
	if err := run(*kubeconfig, *node, *services, *health); err != nil {
		fmt.Fprintln(os.Stderr, "netpol:", err)
		os.Exit(1)
	}
}

func run(kubeconfig, node, services, health string) error {
	if kubeconfig == "" || node == "" || services == "" {
		return fmt.Errorf("-kubeconfig, -node and -service-cidr are required")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods().Informer()
	namespaces := factory.Core().V1().Namespaces().Informer()
	policies := factory.Networking().V1().NetworkPolicies().Informer()
	factory.Start(stop)
	factory.WaitForCacheSync(stop)

	settings := options.NewKubeRouterConfig()
	settings.ClusterIPCIDR = services
	settings.HostnameOverride = node
	settings.IPTablesSyncPeriod = syncPeriod
	var rules sync.Mutex
	controller, err := netpol.NewNetworkPolicyController(client, settings, pods, policies, namespaces, &rules)
	if err != nil {
		return err
	}
	pods.AddEventHandler(controller.PodEventHandler)
	namespaces.AddEventHandler(controller.NamespaceEventHandler)
	policies.AddEventHandler(controller.NetworkPolicyEventHandler)

	beats := make(chan *healthcheck.ControllerHeartbeat, 16)
	failed := make(chan error, 1)
	go func() { failed <- serveHealth(health, beats) }()
	var running sync.WaitGroup
	running.Add(1)
	go controller.Run(beats, stop, &running)

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err = <-failed:
	case <-signals:
	}
	// Run cleans nothing up, and that is wanted: a restart must open no gap.
	close(stop)
	return err
}

// serveHealth answers 200 while the controller synchronises the rules; it sends
// a heartbeat each time.
func serveHealth(address string, beats <-chan *healthcheck.ControllerHeartbeat) error {
	var mu sync.Mutex
	var last time.Time
	go func() {
		for beat := range beats {
			mu.Lock()
			last = beat.LastHeartBeat
			mu.Unlock()
		}
	}()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		synced := !last.IsZero() && time.Since(last) < 3*syncPeriod
		mu.Unlock()
		if !synced {
			http.Error(w, "policies are not synchronised", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return server.ListenAndServe()
}
