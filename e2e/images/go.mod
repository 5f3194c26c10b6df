module flywheel.prim.sh/e2e/images

go 1.25.0
