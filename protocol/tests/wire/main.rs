//! The wire proved from outside: golden vectors, generated messages, bad inputs and byte
//! budgets. `tests/vectors.json` is for implementers in other languages.

#[cfg(test)]
mod bad_inputs;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod enroll_samples;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod samples;
