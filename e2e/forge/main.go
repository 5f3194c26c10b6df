// Command gitea is the test bed's forge: Gitea, unchanged, built from its Go
// module. Gitea's go.mod has replace directives, which `go install` refuses in
// a dependency; this module requires Gitea and repeats them.
package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"

	// Gitea renders a README when it lists a repository; the other formats that
	// its own main registers are of no use here.
	_ "code.gitea.io/gitea/modules/markup/markdown"

	"github.com/urfave/cli/v3"
)

const module = "code.gitea.io/gitea"

func main() {
	builtWith := " built with " + runtime.Version()
	setting.AppVer = version()
	setting.AppBuiltWith = builtWith
	setting.AppStartTime = time.Now().UTC()

	// Gitea logs through a queue: without closing it, whatever is still in
	// there when the process ends is lost.
	cli.OsExiter = func(code int) {
		log.GetManager().Close()
		os.Exit(code)
	}
	app := cmd.NewMainApp(cmd.AppVersion{Version: setting.AppVer, Extra: builtWith})
	_ = cmd.RunMainApp(app, os.Args...) // reports its own errors and exits with their code
	log.GetManager().Close()
}

// version is that of the Gitea module this binary was built from, without the
// leading "v": Gitea parses it, and compares it with the one in its database.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dep := range info.Deps {
			if dep.Path == module && len(dep.Version) > 1 {
				return dep.Version[1:]
			}
		}
	}
	panic("built without module information: build with `go build` inside e2e/forge")
}
