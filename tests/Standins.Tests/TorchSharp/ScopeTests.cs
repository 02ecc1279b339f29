using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

public sealed class ScopeTests
{
    [Fact]
    public void A_scope_disposes_what_was_made_in_it()
    {
        Tensor made;
        using (DisposeScope scope = NewDisposeScope())
        {
            made = ones(2) + 1;
            Assert.Equal(2, scope.DisposablesCount);
            Assert.True(scope.Contains(made));
        }

        Assert.True(made.IsInvalid);
    }

    [Fact]
    public void A_tensor_made_outside_stays()
    {
        using Tensor outside = ones(2);
        using (NewDisposeScope())
        {
            outside.add_(1);
        }

        Assert.False(outside.IsInvalid);
        Assert.Equal(4, outside.sum().ToDouble());
    }

    [Fact]
    public void Moving_to_the_outer_scope_lets_a_tensor_live_until_that_ends()
    {
        using DisposeScope outer = NewDisposeScope();
        Tensor kept;
        using (NewDisposeScope())
        {
            kept = ones(2).MoveToOuterDisposeScope();
        }

        Assert.False(kept.IsInvalid);
        outer.Dispose();
        Assert.True(kept.IsInvalid);
    }

    [Fact]
    public void Moving_out_of_the_outermost_scope_detaches()
    {
        Tensor kept;
        using (NewDisposeScope())
        {
            kept = ones(2).MoveToOuterDisposeScope();
        }

        Assert.False(kept.IsInvalid);
        kept.Dispose();
    }

    [Fact]
    public void A_detached_tensor_survives_every_scope()
    {
        Tensor kept;
        using (NewDisposeScope())
        using (NewDisposeScope())
        {
            kept = ones(2).DetachFromDisposeScope();
        }

        Assert.False(kept.IsInvalid);
        kept.Dispose();
    }

    [Fact]
    public void Scopes_end_in_any_order()
    {
        DisposeScope outer = NewDisposeScope();
        DisposeScope inner = NewDisposeScope();
        Tensor ofInner = ones(1);
        outer.Dispose();
        Assert.Same(inner, CurrentDisposeScope);
        Assert.False(ofInner.IsInvalid);
        inner.Dispose();
        Assert.True(ofInner.IsInvalid);
        Assert.Null(CurrentDisposeScope);
    }

    [Fact]
    public void A_scope_can_dispose_everything_but_some_and_goes_on()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor first = ones(1);
        Tensor second = ones(1);
        Tensor third = ones(1);
        scope.DisposeEverythingBut(second);
        Assert.True(first.IsInvalid);
        Assert.False(second.IsInvalid);
        Assert.True(third.IsInvalid);
        Tensor later = second + 1;
        Assert.Equal(2, scope.DisposablesCount);
        scope.Dispose();
        Assert.True(second.IsInvalid);
        Assert.True(later.IsInvalid);
    }

    [Fact]
    public void A_tensor_disposed_by_hand_leaves_its_scope()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] tensors = Enumerable.Range(0, 500).Select(i => full(1, i)).ToArray();
        foreach (Tensor tensor in tensors.Where((_, i) => i % 3 != 0))
        {
            tensor.Dispose();
        }

        Tensor[] left = tensors.Where((_, i) => i % 3 == 0).ToArray();
        Assert.Equal(left.Length, scope.DisposablesCount);
        Assert.Equal(left, scope.DisposablesView.Cast<Tensor>().OrderBy(tensor => tensor.ToSingle()), ReferenceEqualityComparer.Instance.Equals);
        scope.Dispose();
        Assert.All(tensors, tensor => Assert.True(tensor.IsInvalid));
    }

    [Fact]
    public void A_tensor_can_be_given_to_another_scope()
    {
        DisposeScope first = NewDisposeScope();
        Tensor tensor = ones(1);
        DisposeScope second = NewDisposeScope();
        second.Attach(tensor);
        Assert.False(first.Contains(tensor));
        Assert.True(second.Contains(tensor));
        second.MoveToOther(first, tensor);
        second.Dispose();
        Assert.False(tensor.IsInvalid);
        first.Dispose();
        Assert.True(tensor.IsInvalid);
    }

    [Fact]
    public void An_ended_scope_refuses_work()
    {
        DisposeScope scope = NewDisposeScope();
        scope.Dispose();
        using Tensor tensor = ones(1);
        Assert.Throws<ObjectDisposedException>(() => scope.Attach(tensor));
        Assert.Throws<ObjectDisposedException>(() => scope.DisposablesCount);
    }

    [Fact]
    public void Each_thread_has_scopes_of_its_own()
    {
        using DisposeScope here = NewDisposeScope();
        DisposeScope? seen = here;
        Tensor? made = null;
        Thread thread = new(() =>
        {
            seen = CurrentDisposeScope;
            made = ones(1);
        });
        thread.Start();
        thread.Join();
        Assert.Null(seen);
        Assert.Equal(0, here.DisposablesCount);
        made!.Dispose();
    }

    [Fact]
    public void Statistics_count_what_happened()
    {
        ThreadDisposeScopeStatistics statistics = DisposeScopeManager.Statistics;
        statistics.Reset();
        Tensor outside = ones(1);
        using (DisposeScope scope = NewDisposeScope())
        {
            Tensor detached = ones(1).DetachFromDisposeScope();
            _ = ones(1) + 1;
            scope.Attach(outside);
            detached.Dispose();
        }

        Assert.Equal(1, statistics.CreatedOutsideScopeCount);
        Assert.Equal(3, statistics.CreatedInScopeCount);
        Assert.Equal(1, statistics.DisposedOutsideScopeCount);
        Assert.Equal(3, statistics.DisposedInScopeCount);
        Assert.Equal(1, statistics.AttachedToScopeCount);
        Assert.Equal(1, statistics.DetachedFromScopeCount);
        Assert.Equal(0, statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_wrapped_expression_leaves_only_its_result()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor result = WrappedTensorDisposeScope(() => (ones(2) + 1) * 2);
        Assert.Equal(1, scope.DisposablesCount);
        Assert.Equal(8, result.sum().ToDouble());
    }
}
