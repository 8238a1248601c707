//! Turns columns of other writers' types into ours: wider or narrower numbers, other strings
//! and lists, dictionaries.
//!
//! `arrow-cast` does the same for all pairs of types, and takes a minute to compile.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowDictionaryKeyType, ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ListArray, PrimitiveArray, StringArray};
use arrow_schema::DataType;
use arrow_select::take::take;
use std::sync::Arc;

/// The column as one of type `to`; a number that does not fit becomes null. `None` if there
/// is no such conversion.
pub(crate) fn convert(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    if column.data_type() == to {
        return Some(column.clone());
    }
    if let DataType::Dictionary(key, _) = column.data_type() {
        let plain = match **key {
            DataType::Int8 => plain::<Int8Type>(column),
            DataType::Int16 => plain::<Int16Type>(column),
            DataType::Int32 => plain::<Int32Type>(column),
            DataType::Int64 => plain::<Int64Type>(column),
            DataType::UInt8 => plain::<UInt8Type>(column),
            DataType::UInt16 => plain::<UInt16Type>(column),
            DataType::UInt32 => plain::<UInt32Type>(column),
            DataType::UInt64 => plain::<UInt64Type>(column),
            _ => None,
        };
        return convert(&plain?, to);
    }
    match to {
        DataType::Utf8 => strings(column),
        DataType::Int64 => integers::<Int64Type>(column),
        DataType::Int32 => integers::<Int32Type>(column),
        DataType::UInt32 => integers::<UInt32Type>(column),
        DataType::UInt8 => integers::<UInt8Type>(column),
        DataType::Float32 => floats::<Float32Type>(column, |number| number as f32),
        DataType::Float64 => floats::<Float64Type>(column, |number| number),
        DataType::List(item) => {
            let (offsets, values, nulls) = lists(column)?;
            let values = convert(&values, item.data_type())?;
            let item = Arc::new(item.as_ref().clone().with_nullable(true));
            let list = ListArray::try_new(item, offsets, values, nulls).ok()?;
            Some(Arc::new(list))
        }
        _ => None,
    }
}

/// The values of a dictionary, row by row.
fn plain<K: ArrowDictionaryKeyType>(column: &ArrayRef) -> Option<ArrayRef> {
    let dictionary = column.as_dictionary_opt::<K>()?;
    take(dictionary.values(), dictionary.keys(), None).ok()
}

fn strings(column: &ArrayRef) -> Option<ArrayRef> {
    let strings: StringArray = match column.data_type() {
        DataType::LargeUtf8 => column.as_string_opt::<i64>()?.iter().collect(),
        DataType::Utf8View => column.as_string_view_opt()?.iter().collect(),
        _ => return None,
    };
    Some(Arc::new(strings))
}

fn integers<T: ArrowPrimitiveType>(column: &ArrayRef) -> Option<ArrayRef>
where
    T::Native: TryFrom<i128>,
{
    fn wide<S: ArrowPrimitiveType>(column: &ArrayRef) -> Option<Vec<Option<i128>>>
    where
        S::Native: Into<i128>,
    {
        let numbers = column.as_primitive_opt::<S>()?.iter();
        Some(numbers.map(|number| number.map(Into::into)).collect())
    }
    let numbers = match column.data_type() {
        DataType::Int8 => wide::<Int8Type>(column),
        DataType::Int16 => wide::<Int16Type>(column),
        DataType::Int32 => wide::<Int32Type>(column),
        DataType::Int64 => wide::<Int64Type>(column),
        DataType::UInt8 => wide::<UInt8Type>(column),
        DataType::UInt16 => wide::<UInt16Type>(column),
        DataType::UInt32 => wide::<UInt32Type>(column),
        DataType::UInt64 => wide::<UInt64Type>(column),
        _ => None,
    }?;
    let numbers = numbers
        .into_iter()
        .map(|number| T::Native::try_from(number?).ok());
    Some(Arc::new(numbers.collect::<PrimitiveArray<T>>()))
}

fn floats<T: ArrowPrimitiveType>(
    column: &ArrayRef,
    narrow: impl Fn(f64) -> T::Native,
) -> Option<ArrayRef> {
    let numbers: Vec<Option<f64>> = match column.data_type() {
        DataType::Float16 => {
            let numbers = column.as_primitive_opt::<Float16Type>()?.iter();
            numbers.map(|number| number.map(f64::from)).collect()
        }
        DataType::Float32 => {
            let numbers = column.as_primitive_opt::<Float32Type>()?.iter();
            numbers.map(|number| number.map(f64::from)).collect()
        }
        DataType::Float64 => column.as_primitive_opt::<Float64Type>()?.iter().collect(),
        _ => return None,
    };
    let numbers = numbers.into_iter().map(|number| number.map(&narrow));
    Some(Arc::new(numbers.collect::<PrimitiveArray<T>>()))
}

/// Offsets, values and nulls of a column of lists.
fn lists(
    column: &ArrayRef,
) -> Option<(
    arrow_buffer::OffsetBuffer<i32>,
    ArrayRef,
    Option<arrow_buffer::NullBuffer>,
)> {
    let nulls = column.nulls().cloned();
    Some(match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list_opt::<i32>()?;
            (list.offsets().clone(), list.values().clone(), nulls)
        }
        DataType::LargeList(_) => {
            let list = column.as_list_opt::<i64>()?;
            let offsets = list.offsets().iter().map(|offset| i32::try_from(*offset));
            let offsets: Vec<i32> = offsets.collect::<Result<_, _>>().ok()?;
            let offsets = arrow_buffer::OffsetBuffer::new(offsets.into());
            (offsets, list.values().clone(), nulls)
        }
        DataType::FixedSizeList(_, size) => {
            let list = column.as_fixed_size_list_opt()?;
            let lengths = std::iter::repeat_n(*size as usize, list.len());
            let offsets = arrow_buffer::OffsetBuffer::from_lengths(lengths);
            (offsets, list.values().clone(), nulls)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{FixedSizeListBuilder, LargeListBuilder};
    use arrow_array::{
        DictionaryArray, Float64Array, Int16Array, Int32Array, Int64Array, LargeStringArray,
        UInt64Array,
    };
    use arrow_schema::Field;

    fn converted(column: impl Array + 'static, to: DataType) -> ArrayRef {
        let column: ArrayRef = Arc::new(column);
        let converted = convert(&column, &to).unwrap();
        assert_eq!(*converted.data_type(), to);
        converted
    }

    #[test]
    fn numbers_that_do_not_fit_become_null() {
        let wide = UInt64Array::from(vec![Some(7), None, Some(u64::MAX)]);
        let narrow = converted(wide, DataType::Int32);
        let expected = Int32Array::from(vec![Some(7), None, None]);
        assert_eq!(narrow.as_primitive::<Int32Type>(), &expected);
        let small = converted(Int16Array::from(vec![-1, 3]), DataType::Int64);
        let expected = Int64Array::from(vec![-1, 3]);
        assert_eq!(small.as_primitive::<Int64Type>(), &expected);
        let floats = converted(Float64Array::from(vec![0.5]), DataType::Float32);
        assert_eq!(floats.as_primitive::<Float32Type>().value(0), 0.5);
    }

    #[test]
    fn strings_lists_and_dictionaries_of_other_writers_are_taken() {
        let large = converted(LargeStringArray::from(vec!["a", "dog"]), DataType::Utf8);
        assert_eq!(
            large.as_string::<i32>(),
            &StringArray::from(vec!["a", "dog"])
        );
        let coded: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let plain = converted(coded, DataType::Utf8);
        assert_eq!(
            plain.as_string::<i32>(),
            &StringArray::from(vec!["a", "b", "a"])
        );

        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let expected = vec![vec![Some(1), Some(2)], vec![Some(3), Some(4)]];
        let expected = expected.into_iter().map(Some);
        let expected = ListArray::from_iter_primitive::<Int32Type, _, _>(expected);
        let mut large = LargeListBuilder::new(Int64Array::builder(4));
        let mut fixed = FixedSizeListBuilder::new(Int64Array::builder(4), 2);
        for pair in [[1, 2], [3, 4]] {
            large.values().append_slice(&pair);
            large.append(true);
            fixed.values().append_slice(&pair);
            fixed.append(true);
        }
        let large = converted(large.finish(), DataType::List(item.clone()));
        assert_eq!(large.as_list::<i32>(), &expected);
        let fixed = converted(fixed.finish(), DataType::List(item));
        assert_eq!(fixed.as_list::<i32>(), &expected);
    }
}
