#!/bin/bash
# One task a machine, one process a GPU. Copy it, change the lines below, then:
#   sbatch slurm.sh train ppo --parallel fsdp2 --model SFT --reward REWARD --data PROMPTS --out /shared/project
#SBATCH --job-name=palate
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --output=%x-%j.out
set -u

source "${PALATE_ENV:-$SLURM_SUBMIT_DIR/.venv}/bin/activate"

GPUS="${SLURM_GPUS_ON_NODE:-8}"
HEAD="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
export OMP_NUM_THREADS=$((SLURM_CPUS_PER_TASK / GPUS))
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=240  # a step, and its checkpoint

# Time is nearly up: torchrun hands the signal on, every process stops after its step, and the job queues itself again.
requeue() {
    kill -TERM "$TRAINING"
    wait "$TRAINING"
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
}
trap requeue TERM

srun --kill-on-bad-exit=1 torchrun \
    --nnodes "$SLURM_JOB_NUM_NODES" --nproc-per-node "$GPUS" --max-restarts 0 \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$HEAD:29500" \
    -m palate "$@" &
TRAINING=$!
wait "$TRAINING"
