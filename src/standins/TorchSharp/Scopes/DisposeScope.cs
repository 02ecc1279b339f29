using static TorchSharp.torch;

namespace TorchSharp;

/// <summary>
/// Owns the tensors that its thread makes while it is the innermost scope, and disposes them when it ends,
/// but for those that were moved out. A tensor knows its scope and its place in the scope's list, so that to
/// enter and to leave cost no look-up.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    private readonly DisposeScopeManager _manager;
    private List<Tensor?> _tensors = [];
    private int _count;
    private bool _disposed;

    internal DisposeScope(DisposeScopeManager manager)
    {
        _manager = manager;
        OuterScope = manager.CurrentDisposeScope;
    }

    /// <summary>How many things the scope owns.</summary>
    public int DisposablesCount => Live(_count);

    /// <summary>What the scope owns now; a copy.</summary>
    public IReadOnlyList<IDisposable> DisposablesView => Live(_tensors).Where(tensor => tensor is not null).ToArray()!;

    internal DisposeScope? OuterScope { get; set; }

    public bool Contains(IDisposable disposable) => disposable is Tensor tensor && Holds(tensor);

    /// <summary>Takes things over, from their scope if they have one.</summary>
    public void Attach(IDisposable disposable) => Attach([disposable]);

    public void Attach(params IDisposable[] disposables) => Attach((IEnumerable<IDisposable>)disposables);

    public IReadOnlyList<IDisposable> Attach(IEnumerable<IDisposable> disposables)
    {
        Live(0);
        List<IDisposable> attached = [];
        foreach (IDisposable disposable in disposables)
        {
            if (Take(AsTensor(disposable)))
            {
                _manager.Counts.TensorStatistics.AttachedToScopeCount++;
            }

            attached.Add(disposable);
        }

        return attached;
    }

    /// <summary>Gives things to no scope: from now on their holder has to dispose them.</summary>
    public void Detach(IEnumerable<IDisposable> disposables)
    {
        Live(0);
        foreach (IDisposable disposable in disposables)
        {
            if (disposable is Tensor tensor && Holds(tensor))
            {
                Remove(tensor);
                _manager.Counts.TensorStatistics.DetachedFromScopeCount++;
            }
        }
    }

    public void Detach(params IDisposable[] disposables) => Detach((IEnumerable<IDisposable>)disposables);

    public T Detach<T>(T disposable)
        where T : IDisposable
    {
        Detach([disposable]);
        return disposable;
    }

    public (T1 first, T2 second) Detach<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable
    {
        Detach([first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) Detach<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable
    {
        Detach([first, second, third]);
        return (first, second, third);
    }

    /// <summary>Gives things to the scope around this one, or to none when this is the outermost.</summary>
    public void MoveToOuter(IEnumerable<IDisposable> disposables) => MoveToOther(OuterScope, disposables);

    public void MoveToOuter(params IDisposable[] disposables) => MoveToOther(OuterScope, disposables);

    public T MoveToOuter<T>(T disposable)
        where T : IDisposable => MoveToOther(OuterScope, disposable);

    public (T1 first, T2 second) MoveToOuter<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable => MoveToOther(OuterScope, first, second);

    public (T1 first, T2 second, T3 third) MoveToOuter<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable => MoveToOther(OuterScope, first, second, third);

    /// <summary>Gives things that this scope owns to another scope, or to none.</summary>
    public void MoveToOther(DisposeScope? scope, IEnumerable<IDisposable> disposables)
    {
        Live(0);
        if (scope is null)
        {
            Detach(disposables);
            return;
        }

        foreach (IDisposable disposable in disposables)
        {
            if (disposable is Tensor tensor && Holds(tensor))
            {
                scope.Take(tensor);
            }
        }
    }

    public void MoveToOther(DisposeScope? scope, params IDisposable[] disposables) =>
        MoveToOther(scope, (IEnumerable<IDisposable>)disposables);

    public T MoveToOther<T>(DisposeScope? scope, T disposable)
        where T : IDisposable
    {
        MoveToOther(scope, [disposable]);
        return disposable;
    }

    public (T1 first, T2 second) MoveToOther<T1, T2>(DisposeScope? scope, T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable
    {
        MoveToOther(scope, [first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) MoveToOther<T1, T2, T3>(DisposeScope? scope, T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable
    {
        MoveToOther(scope, [first, second, third]);
        return (first, second, third);
    }

    /// <summary>Disposes what the scope owns; the scope goes on.</summary>
    public void DisposeEverything() => DisposeEverythingBut([]);

    /// <summary>Disposes what the scope owns except some, which it goes on owning.</summary>
    public void DisposeEverythingBut(IEnumerable<IDisposable> inKeep)
    {
        Live(0);
        HashSet<IDisposable> kept = new(inKeep, ReferenceEqualityComparer.Instance);
        List<Tensor?> old = _tensors;
        _tensors = [];
        _count = 0;
        foreach (Tensor? tensor in old)
        {
            if (tensor is not null && kept.Contains(tensor))
            {
                Add(tensor);
            }
            else
            {
                tensor?.Dispose();
            }
        }
    }

    public void DisposeEverythingBut(params IDisposable[] keep) => DisposeEverythingBut((IEnumerable<IDisposable>)keep);

    public T DisposeEverythingBut<T>(T keep)
        where T : IDisposable
    {
        DisposeEverythingBut([keep]);
        return keep;
    }

    public (T1 first, T2 second) DisposeEverythingBut<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable
    {
        DisposeEverythingBut([first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) DisposeEverythingBut<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable
    {
        DisposeEverythingBut([first, second, third]);
        return (first, second, third);
    }

    /// <summary>Forgets something that was disposed by hand.</summary>
    public void MarkAsDisposed(IDisposable disposable)
    {
        Live(0);
        if (disposable is Tensor tensor && Holds(tensor))
        {
            Remove(tensor);
        }
    }

    /// <summary>Ends the scope: disposes what it owns and makes the scope around it the thread's current one.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        List<Tensor?> old = _tensors;
        _tensors = [];
        _count = 0;
        foreach (Tensor? tensor in old)
        {
            tensor?.Dispose();
        }

        _manager.Remove(this);
        _disposed = true;
    }

    internal void Add(Tensor tensor)
    {
        tensor.OwningDisposeScope = this;
        tensor.ScopeSlot = _tensors.Count;
        _tensors.Add(tensor);
        _count++;
    }

    /// <summary>Forgets a tensor of this scope. Tensors often leave in the reverse of their order: the list shrinks then.</summary>
    internal void Remove(Tensor tensor)
    {
        tensor.OwningDisposeScope = null;
        if (tensor.ScopeSlot >= _tensors.Count || !ReferenceEquals(_tensors[tensor.ScopeSlot], tensor))
        {
            return; // the list was given up: everything in it is being disposed
        }

        _count--;
        _tensors[tensor.ScopeSlot] = null;
        while (_tensors.Count > 0 && _tensors[^1] is null)
        {
            _tensors.RemoveAt(_tensors.Count - 1);
        }

        if (_tensors.Count > 64 && _count < _tensors.Count / 2)
        {
            Compact();
        }
    }

    private static Tensor AsTensor(IDisposable disposable) => disposable as Tensor
        ?? throw new InvalidOperationException("DisposeScope can only manage Tensor or PackedSequence");

    private bool Holds(Tensor tensor) => ReferenceEquals(tensor.OwningDisposeScope, this);

    private bool Take(Tensor tensor)
    {
        if (Holds(tensor))
        {
            return false;
        }

        tensor.OwningDisposeScope?.Remove(tensor);
        Add(tensor);
        return true;
    }

    private void Compact()
    {
        int kept = 0;
        for (int slot = 0; slot < _tensors.Count; slot++)
        {
            if (_tensors[slot] is { } tensor)
            {
                tensor.ScopeSlot = kept;
                _tensors[kept++] = tensor;
            }
        }

        _tensors.RemoveRange(kept, _tensors.Count - kept);
    }

    private T Live<T>(T value)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return value;
    }
}
