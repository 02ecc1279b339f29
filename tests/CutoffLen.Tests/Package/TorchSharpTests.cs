using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Package;

/// <summary>What the product relies on in the TorchSharp package.</summary>
public sealed class TorchSharpTests
{
    [Fact]
    public void A_scope_disposes_what_was_made_in_it_and_nothing_else()
    {
        using var outside = ones(2);
        Tensor made;
        using (NewDisposeScope())
        {
            outside.add_(1);
            made = outside + 1;
        }

        Assert.True(made.IsInvalid);
        Assert.Equal(4f, outside.sum().item<float>());
    }

    [Fact]
    public void A_tensor_moved_to_the_outer_scope_lives_until_that_ends()
    {
        Tensor kept;
        using (NewDisposeScope())
        {
            using (NewDisposeScope())
            {
                kept = ones(2).MoveToOuterDisposeScope();
            }

            Assert.False(kept.IsInvalid);
        }

        Assert.True(kept.IsInvalid);
    }

    [Fact]
    public void A_tensor_moved_out_of_the_last_scope_or_detached_lives_until_it_is_disposed()
    {
        Tensor moved, detached;
        using (NewDisposeScope())
        {
            moved = ones(2).MoveToOuterDisposeScope();
            using (NewDisposeScope())
            {
                detached = ones(2).DetachFromDisposeScope();
            }
        }

        Assert.False(moved.IsInvalid || detached.IsInvalid);
        moved.Dispose();
        detached.Dispose();
        detached.Dispose(); // twice does no harm
    }

    [Fact]
    public void Scopes_belong_to_a_thread()
    {
        using var scope = NewDisposeScope();
        Tensor? other = null;
        var thread = new Thread(() => other = ones(2));
        thread.Start();
        thread.Join();
        Assert.Equal(0, scope.DisposablesCount);
        other!.Dispose();
    }

    [Fact]
    public void Views_keep_the_memory_of_a_disposed_tensor()
    {
        var source = arange(6, float32);
        using var view = source.view(2, 3);
        source.Dispose();
        Assert.Equal(15f, view.sum().item<float>());
    }

    [Fact]
    public void Errors_of_libtorch_are_exceptions_and_it_works_on_after_them()
    {
        using var scope = NewDisposeScope();
        var error = Assert.Throws<ExternalException>(() => ones(2, 3).mm(ones(2, 3)));
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", error.Message, StringComparison.Ordinal);
        Assert.Throws<ExternalException>(() => ones(2, 3).view(4, 2));
        Assert.Throws<ExternalException>(() => zeros(1L << 50)); // more memory than there is
        Assert.Throws<ExternalException>(() => from_file("/no/such/file", size: 3));
        Assert.Equal(4f, ones(2, 2).sum().item<float>());
    }

    [Fact]
    public void Bfloat16_rounds_to_the_nearest_even_and_back_exactly()
    {
        using var scope = NewDisposeScope();
        // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 * 2^-8 between 1 + 2^-7 and 1 + 2^-6.
        var rounded = tensor(new[] { 1.5f, -2, 1 + (1 / 256f), 1 + (3 / 256f), 3e38f }).to(bfloat16);
        Assert.Equal([0x3FC0, 0xC000, 0x3F80, 0x3F82, 0x7F62], MemoryMarshal.Cast<byte, ushort>(rounded.bytes.ToArray()).ToArray().Select(bits => (int)bits));
        Assert.True(rounded.to(float32).to(bfloat16).eq(rounded).all().item<bool>());
    }

    [Fact]
    public void Bfloat16_products_are_summed_in_float32()
    {
        using var scope = NewDisposeScope();
        // 4096 ones: a sum kept in bfloat16 would stay at 256.
        var product = ones(1, 4096, dtype: bfloat16).mm(ones(4096, 1, dtype: bfloat16));
        Assert.Equal(bfloat16, product.dtype);
        Assert.Equal(4096f, product.to(float32).item<float>());
    }

    [Fact]
    public void A_file_is_mapped_and_changes_stay_private()
    {
        using var folder = new TemporaryFolder();
        var bytes = MemoryMarshal.AsBytes<float>(Enumerable.Range(0, 4096).Select(n => (float)n).ToArray()).ToArray();
        var path = folder.Write("weights", bytes);
        using var scope = NewDisposeScope();
        var mapped = from_file(path, shared: false, size: 4096, dtype: float32);
        Assert.Equal(4095f, mapped[4095].item<float>());
        mapped[0] = -1f;
        Assert.Equal(bytes, File.ReadAllBytes(path));
        Assert.Equal(bytes, from_file(path, shared: false, size: bytes.Length, dtype: uint8).bytes.ToArray());
    }

    [Fact]
    public void Scopes_leave_no_tensor_of_an_operation_behind()
    {
        using var a = randn(64, 64);
        Run(400);
        var count = Tensor.TotalCount;
        Run(1000);
        Assert.True(Tensor.TotalCount <= count); // finalizers of other tests may make it less

        void Run(int scopes)
        {
            for (var n = 0; n < scopes; n++)
            {
                using var scope = NewDisposeScope();
                var sum = a;
                for (var step = 0; step < 12; step++)
                {
                    sum = ((sum + a) * 0.5).transpose(0, 1);
                }
            }
        }
    }
}
