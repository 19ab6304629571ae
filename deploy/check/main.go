// Command check loads files of deploy/ with the libraries of the programs that read them.
//
//	check compose FILE…      with the loader of Docker Compose
//	check dashboards FILE…   with the strict decoder of Grafana's foundation SDK
//	check kustomize DIR…     with kustomize; prints what it makes of each
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The decoder takes a panel of any type; these are those that it knows all fields of.
var panelTypes = map[string]bool{"row": true, "bargauge": true, "stat": true, "timeseries": true}

func main() {
	checks := map[string]func(string) error{"compose": compose, "dashboards": dashboards, "kustomize": render}
	if len(os.Args) < 3 || checks[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: check compose|dashboards|kustomize FILE…")
		os.Exit(2)
	}
	failed := false
	for _, path := range os.Args[2:] {
		if err := checks[os.Args[1]](path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// compose loads a file as `docker compose config` does, and prints the sum of all memory limits.
func compose(path string) error {
	options, err := cli.NewProjectOptions([]string{path}, cli.WithOsEnv, cli.WithName("audience"), cli.WithWorkingDirectory(filepath.Dir(path)),
		cli.WithDotEnv, cli.WithProfiles([]string{"*"}), cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return err
	}
	var bytes int64
	for name, service := range project.Services {
		limit := int64(service.MemLimit)
		if limit == 0 {
			return fmt.Errorf("%s has no mem_limit", name)
		}
		if service.Restart != "no" && service.HealthCheck == nil {
			return fmt.Errorf("%s has no healthcheck", name)
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				return fmt.Errorf("%s publishes port %s beyond 127.0.0.1", name, port.Published)
			}
		}
		for other, dependency := range service.DependsOn {
			if dependency.Condition == "service_started" {
				return fmt.Errorf("%s depends on %s without a condition of health", name, other)
			}
		}
		for _, volume := range service.Volumes {
			if volume.Type != "bind" {
				continue
			}
			if _, err := os.Stat(volume.Source); err != nil {
				return fmt.Errorf("%s mounts what is not there: %w", name, err)
			}
		}
		bytes += limit
	}
	fmt.Printf("%s: %d services, %d MiB at most\n", path, len(project.Services), bytes>>20)
	if bytes > 6<<30 {
		return fmt.Errorf("more than 6 GiB in all: %d MiB", bytes>>20)
	}
	return nil
}

func dashboards(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(bargauge.VariantConfig())
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())
	var types struct{ Panels []struct{ Type, Title string } }
	if err := json.Unmarshal(raw, &types); err != nil {
		return err
	}
	for _, panel := range types.Panels {
		if !panelTypes[panel.Type] {
			return fmt.Errorf("panel %q: unknown type %q", panel.Title, panel.Type)
		}
	}
	var decoded dashboard.Dashboard
	// It answers with a list of faults, which may be empty.
	if err := decoded.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" {
		return err
	}
	return decoded.Validate()
}

// render prints what kustomize makes of a folder. The demo takes files that Compose uses too, from outside of its folder.
func render(directory string) error {
	options := krusty.MakeDefaultOptions()
	options.LoadRestrictions = types.LoadRestrictionsNone
	resources, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		return err
	}
	text, err := resources.AsYaml()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}
