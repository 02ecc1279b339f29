namespace TorchSharp;

/// <summary>Each thread's stack of dispose scopes and its counts of tensors.</summary>
public class DisposeScopeManager
{
    [ThreadStatic]
    private static DisposeScopeManager? _ofThread;

    /// <summary>The calling thread's counts.</summary>
    public static ThreadDisposeScopeStatistics Statistics => OfThread.Counts;

    internal static DisposeScopeManager OfThread => _ofThread ??= new DisposeScopeManager();

    internal ThreadDisposeScopeStatistics Counts { get; } = new();

    internal DisposeScope? CurrentDisposeScope { get; private set; }

    internal void Register(torch.Tensor tensor)
    {
        if (CurrentDisposeScope is { } scope)
        {
            Counts.TensorStatistics.CreatedInScopeCount++;
            scope.Add(tensor);
        }
        else
        {
            Counts.TensorStatistics.CreatedOutsideScopeCount++;
        }
    }

    internal void Disposing(torch.Tensor tensor)
    {
        if (tensor.OwningDisposeScope is { } scope)
        {
            Counts.TensorStatistics.DisposedInScopeCount++;
            scope.Remove(tensor);
        }
        else
        {
            Counts.TensorStatistics.DisposedOutsideScopeCount++;
        }
    }

    internal DisposeScope NewDisposeScope() => CurrentDisposeScope = new DisposeScope(this);

    /// <summary>Takes a scope out of the stack, wherever in it it is.</summary>
    internal void Remove(DisposeScope ended)
    {
        if (ReferenceEquals(CurrentDisposeScope, ended))
        {
            CurrentDisposeScope = ended.OuterScope;
            return;
        }

        for (DisposeScope? scope = CurrentDisposeScope; scope is not null; scope = scope.OuterScope)
        {
            if (ReferenceEquals(scope.OuterScope, ended))
            {
                scope.OuterScope = ended.OuterScope;
                return;
            }
        }
    }
}

public static partial class torch
{
    /// <summary>The calling thread's innermost scope.</summary>
    public static DisposeScope? CurrentDisposeScope => DisposeScopeManager.OfThread.CurrentDisposeScope;

    /// <summary>Opens a scope on the calling thread: tensors made until its end are disposed then.</summary>
    public static DisposeScope NewDisposeScope() => DisposeScopeManager.OfThread.NewDisposeScope();

    /// <summary>Evaluates an expression in a scope of its own and moves the result out.</summary>
    public static Tensor WrappedTensorDisposeScope(Func<Tensor> expr)
    {
        using DisposeScope scope = NewDisposeScope();
        return expr().MoveToOuterDisposeScope();
    }
}
