//! A table whose places are used again.

/// Slots of a table that are reused.
#[derive(Default)]
pub struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Slab { items: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, item: T) -> u32 {
        match self.free.pop() {
            Some(at) => {
                self.items[at as usize] = Some(item);
                at
            }
            None => {
                self.items.push(Some(item));
                self.items.len() as u32 - 1
            }
        }
    }

    pub(super) fn remove(&mut self, at: u32) -> Option<T> {
        let item = self.items.get_mut(at as usize)?.take();
        if item.is_some() {
            self.free.push(at);
        }
        item
    }

    /// Takes an item out, and keeps its number from use until that is freed.
    pub(super) fn retire(&mut self, at: u32) -> Option<T> {
        self.items.get_mut(at as usize)?.take()
    }

    /// Numbers of retired items may be used again.
    pub(super) fn free(&mut self, numbers: impl Iterator<Item = u32>) {
        self.free.extend(numbers);
    }

    /// The item, where there is one.
    pub fn get(&self, at: u32) -> Option<&T> {
        self.items.get(at as usize)?.as_ref()
    }

    /// The item, where there is one.
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.items.get_mut(at as usize)?.as_mut()
    }

    /// All items with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.items.iter().enumerate().filter_map(|(at, item)| item.as_ref().map(|item| (at as u32, item)))
    }

    /// All items.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }

    /// One more than the greatest number.
    pub fn bound(&self) -> usize {
        self.items.len()
    }
}
