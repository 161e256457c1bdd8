//! The trials that kernels declare, as they are: a new kernel needs nothing here.

use std::rc::Rc;

use bitgauge_eval::{Backend, BackendError, GpuBackend, GpuBuffer, GpuVector, RowOperand};
use bitgauge_shaders::Kernel;
use bitgauge_shaders::trial::{Operand, Trial};
use pollster::block_on;

use crate::kernels::{Case, SMALL_LIMIT, limit_name, patch, poisoned, put};

type Result<T> = std::result::Result<T, BackendError>;

/// Every trial, whole and split.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kernel in Kernel::all() {
        for trial in kernel.trials() {
            let trial = Rc::new(trial);
            cases.extend([None, Some(SMALL_LIMIT)].map(|limit| case(kernel, &trial, limit)));
        }
    }
    cases
}

fn case(kernel: Kernel, trial: &Rc<Trial>, limit: Option<u64>) -> Case {
    let trial = Rc::clone(trial);
    Case {
        name: format!("{}, {}{}", kernel.name(), trial.name, limit_name(limit)),
        bound: kernel.bound(),
        limit,
        patches: trial.faults.iter().map(|(from, to)| patch(kernel, from, to)).collect(),
        want: trial.want.clone(),
        run: Box::new(move |backend, flips| run(backend, &trial, flips)),
    }
}

/// An operand on the device.
enum Uploaded {
    Rows(GpuBuffer),
    Vector(GpuVector),
}

impl Uploaded {
    fn operand(&self) -> RowOperand<'_> {
        match self {
            Self::Rows(buffer) => RowOperand::Rows(buffer),
            Self::Vector(vector) => RowOperand::Vector(vector),
        }
    }
}

fn run(backend: &mut GpuBackend, trial: &Trial, flips: bool) -> Result<Vec<f32>> {
    let mut uploaded = Vec::new();
    for (i, operand) in trial.operands.iter().enumerate() {
        uploaded.push(match operand {
            Operand::Rows(columns, values) => {
                let mut values = values.clone();
                if flips && i == trial.flips.0 {
                    values[trial.flips.1] *= -1.0;
                }
                Uploaded::Rows(put(backend, &values, *columns)?)
            }
            Operand::Output(columns) => Uploaded::Rows(poisoned(backend, trial.rows, *columns)?),
            Operand::Vector(values) => Uploaded::Vector(backend.upload_vector(values)?),
        });
    }
    let operands: Vec<RowOperand<'_>> = uploaded.iter().map(Uploaded::operand).collect();
    let rows: Vec<_> =
        operands.iter().filter_map(|operand| operand.rows()).map(|buffer| buffer.row()).collect();
    backend.run_rows(&(trial.call)(&rows), &operands)?;
    let result = operands[trial.output].rows().expect("the result of a trial has rows");
    block_on(backend.read(result))
}
