using System.Runtime.CompilerServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

public sealed class LifetimeTests
{
    private const int Megabyte = 1 << 20;

    [Fact]
    public void Two_hundred_thousand_operations_in_scopes_leave_the_process_no_larger()
    {
        using Tensor a = randn(64, 64);
        using Tensor b = randn(64, 64);
        RunOperations(a, b, scopes: 400);
        long before = ResidentBytes();
        long tensorsBefore = Tensor.TotalCount;
        RunOperations(a, b, scopes: 4000);
        Assert.True(Tensor.TotalCount <= tensorsBefore); // finalizers of other tests may have made it less
        long grown = ResidentBytes() - before;
        Assert.True(grown < 32 * Megabyte, $"grew by {grown / Megabyte} MiB; one leaked result in fifty would be 32 MiB");
    }

    [Fact]
    public void An_undisposed_tensor_is_freed_by_its_finalizer()
    {
        long before = ResidentBytes();
        for (int i = 0; i < 40; i++)
        {
            Forget(16 * Megabyte);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        long grown = ResidentBytes() - before;
        Assert.True(grown < 200 * Megabyte, $"forty forgotten tensors of 16 MiB hold {grown / Megabyte} MiB");
    }

    [Fact]
    public void A_view_keeps_the_memory_of_its_source()
    {
        Tensor source = arange(6, float32);
        using Tensor view = source.view(2, 3);
        source.Dispose();
        Assert.Equal(15, view.sum().ToDouble());
    }

    [Fact]
    public void An_alias_is_disposed_by_itself()
    {
        Tensor source = ones(3);
        using Tensor alias = source.alias();
        alias.add_(1);
        Assert.Equal(6, source.sum().ToDouble());
        source.Dispose();
        Assert.Equal(6, alias.sum().ToDouble());
    }

    [Fact]
    public void Disposing_twice_is_harmless()
    {
        Tensor tensor = ones(3);
        tensor.Dispose();
        tensor.Dispose();
        Assert.True(tensor.IsInvalid);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(int bytes) => zeros(bytes / 4).fill_(1);

    private static void RunOperations(Tensor a, Tensor b, int scopes)
    {
        for (int i = 0; i < scopes; i++)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor sum = a;
            for (int j = 0; j < 12; j++)
            {
                sum = ((sum + b) * 0.5).narrow(0, 0, 64).transpose(0, 1);
            }

            _ = cat([sum, a]).split(64L)[1];
        }
    }

    private static long ResidentBytes()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        using System.Diagnostics.Process process = System.Diagnostics.Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
