using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Standins.Tests.TorchSharp;

/// <summary>Whatever a caller does wrong is an exception, and the library works on after it.</summary>
public sealed class ErrorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void An_error_of_libtorch_carries_its_words()
    {
        ExternalException error = Assert.Throws<ExternalException>(() => ones(2, 3).mm(ones(2, 3)));
        Assert.Contains("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", error.Message);
        Assert.Equal(4, ones(2, 2).sum().ToDouble());
    }

    [Fact]
    public void Errors_of_many_kinds_are_exceptions()
    {
        Assert.Throws<ExternalException>(() => ones(2, 3).view(4, 2));
        Assert.Throws<ExternalException>(() => ones(2).add_(ones(3)));
        Assert.Throws<ExternalException>(() => cat([ones(2, 2), ones(3, 3)], 1));
        Assert.Throws<ExternalException>(() => ones(3).index_select(0, tensor(new long[] { 7 })));
        Assert.Throws<ExternalException>(() => ones(3)[5]);
        Assert.Throws<ExternalException>(() => ones(2, 2).transpose(0, 5));
        Assert.Throws<ExternalException>(() => zeros(-1L));
        Assert.Throws<ExternalException>(() => F.cross_entropy(randn(2, 3), tensor(new long[] { 0, 9 })));
        Assert.Throws<ExternalException>(() => F.linear(ones(2, 3), ones(4, 5)));
        Assert.Throws<ExternalException>(() => ones(2, 2).to(int64).requires_grad_());
        Assert.Throws<ExternalException>(() => einsum("ij,jk->", ones(2)));
        Assert.Throws<ExternalException>(() => zeros(1L << 50));
        Assert.Throws<ExternalException>(() => from_file("/no/such/file", size: 3));
        Assert.Throws<ExternalException>(() => ones(2, 2).split([3L, 3L], 0L));
        Assert.Throws<ExternalException>(() => ones(2).ToScalar());
    }

    [Fact]
    public void A_disposed_tensor_is_an_exception_wherever_it_is_used()
    {
        Tensor gone = ones(2);
        Tensor fine = ones(2);
        gone.Dispose();
        Assert.ThrowsAny<InvalidOperationException>(() => gone + 1);
        Assert.ThrowsAny<InvalidOperationException>(() => fine + gone);
        Assert.ThrowsAny<InvalidOperationException>(() => fine.add_(gone));
        Assert.ThrowsAny<InvalidOperationException>(() => cat([fine, gone]));
        Assert.ThrowsAny<InvalidOperationException>(() => gone.shape);
        Assert.ThrowsAny<InvalidOperationException>(() => gone.dtype);
        Assert.ThrowsAny<InvalidOperationException>(() => gone.data<float>());
        Assert.ThrowsAny<InvalidOperationException>(() => gone.requires_grad);
        Assert.ThrowsAny<InvalidOperationException>(() => gone.grad);
        Assert.ThrowsAny<InvalidOperationException>(() => gone.backward());
        Assert.ThrowsAny<InvalidOperationException>(() => fine[TensorIndex.Tensor(gone)]);
        Assert.ThrowsAny<InvalidOperationException>(() => gone.Handle);
    }

    [Fact]
    public void A_null_is_an_exception()
    {
        Tensor fine = ones(2);
        Assert.ThrowsAny<Exception>(() => fine + (Tensor)null!);
        Assert.ThrowsAny<Exception>(() => fine.addcmul(null!, fine, 1));
        Assert.ThrowsAny<Exception>(() => cat([fine, null!]));
        Assert.ThrowsAny<Exception>(() => cat((Tensor[])null!));
        Assert.ThrowsAny<Exception>(() => fine.view(null!));
        Assert.ThrowsAny<Exception>(() => F.linear(fine, null!));
        Assert.ThrowsAny<Exception>(() => tensor((float[])null!));
        Assert.Equal(2, fine.sum().ToDouble());
    }

    [Fact]
    public void Reading_as_another_type_is_refused()
    {
        Assert.Throws<ArgumentException>(() => ones(2).data<double>());
        Assert.Throws<ArgumentException>(() => ones(1).item<long>());
        Assert.Throws<ArgumentException>(() => ones(2).item<float>());
        Assert.Throws<ArgumentException>(() => ones(1, dtype: bfloat16).data<float>());
        Assert.Throws<ArgumentException>(() => ones(1).ReadCpuInt64(0));
    }

    [Fact]
    public void Arguments_that_make_no_sense_are_refused()
    {
        Tensor x = arange(6, float32).view(2, 3);
        Assert.Throws<ArgumentException>(() => cat(Array.Empty<Tensor>()));
        Assert.Throws<ArgumentException>(() => where(x, x, x));
        Assert.Throws<ArgumentException>(() => x.masked_select(x));
        Assert.Throws<ArgumentException>(() => x.slice(0, 0, 2, 0));
        Assert.Throws<ArgumentException>(() => x.diagonal(0, 1, 1));
        Assert.Throws<ArgumentException>(() => x.index_add(0, ones(1), x, 1));
        Assert.Throws<ArgumentException>(() => x.index_fill_(0, ones(1), 1));
        Assert.Throws<InvalidOperationException>(() => x.dot(x));
        Assert.Throws<ArgumentException>(() => F.one_hot(x));
        Assert.Throws<ArgumentException>(() => x.cuda(CPU));
        Assert.Throws<NotImplementedException>(() => x.diff(2));
    }

    [Fact]
    public void Joining_one_tensor_shares_its_memory()
    {
        Tensor x = zeros(2);
        cat([x]).add_(1);
        Assert.Equal([1f, 1f], x.data<float>());
    }

    [Fact]
    public void A_scalar_that_was_disposed_is_refused()
    {
        Scalar two = 2.0.ToScalar();
        two.Dispose();
        Assert.ThrowsAny<InvalidOperationException>(() => ones(1) * two);
    }

    [Fact]
    public void A_missing_device_is_refused()
    {
        if (!cuda.is_available())
        {
            Assert.Throws<InvalidOperationException>(() => ones(1).cuda());
            Assert.Throws<InvalidOperationException>(() => device("cuda:0"));
            Assert.Equal(0, cuda.device_count());
        }
        else
        {
            Assert.True(ones(1).cuda().is_cuda);
            cuda.synchronize();
        }
    }

    [Fact]
    public void Threads_have_errors_of_their_own()
    {
        string[] messages = new string[2];
        Thread[] threads = Enumerable.Range(0, 2).Select(i => new Thread(() =>
        {
            for (int round = 0; round < 200; round++)
            {
                messages[i] = Assert.Throws<ExternalException>(() => ones(2, 3 + i).mm(ones(2, 3 + i))).Message;
            }
        })).ToArray();
        foreach (Thread thread in threads)
        {
            thread.Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Contains("2x3", messages[0]);
        Assert.Contains("2x4", messages[1]);
    }
}
