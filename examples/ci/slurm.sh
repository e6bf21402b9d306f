#!/bin/sh
# A part of the catalogue as an array job: sbatch --array=1-4 slurm.sh, with the options of
# `godwit run` in $GODWIT_ARGUMENTS. Each job leaves part-N.json in the folder that sbatch was called in.
#
# SPDX-License-Identifier: MIT
#SBATCH --job-name=godwit
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --output=godwit-%A-%a.log
set -eu
part=part-$SLURM_ARRAY_TASK_ID.json
rm -f "$part"
eval "set -- ${GODWIT_ARGUMENTS:---quick}"
exec "${GODWIT:-godwit}" run --shard auto --accel tcg -j 1 --format text --format "json:$part" "$@"
