module flywheel.prim.sh/e2e/testbed

go 1.25.0
